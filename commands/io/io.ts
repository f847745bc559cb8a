import { printableJson, printableLines } from "../../engine/mod.ts";

/** How much is printed to stderr, and how; the flags of a command set it. */
export interface Style {
  /** Errors and warnings only. */
  quiet: boolean;
  /** Settings, memory and times as well. */
  verbose: boolean;
  /** Whether messages may be coloured. */
  colour: boolean;
}

/**
 * What a command may touch of the terminal; tests pass their own. Text may come from files of others: control characters
 * other than line breaks and tabs are replaced.
 */
export interface Io {
  /** Writes a line of results to stdout. */
  out(line: string): void;
  /** Writes a file to stdout. */
  outBytes(bytes: Uint8Array): void;
  /** Writes text to stderr, after a `lead` of ours, which is written unchanged: a colour, or {@link CLEAR_LINE}. */
  err(text: string, lead?: string): void;
  /** Opens stdin. */
  stdin(): ReadableStream<Uint8Array>;
  /** Whether stdin is a terminal. */
  readonly inIsTerminal: boolean;
  /** Whether stdout is a terminal. */
  readonly outIsTerminal: boolean;
  /** Whether stderr is a terminal. */
  readonly errIsTerminal: boolean;
  /** Returns the columns of the terminal. */
  columns(): number;
  /** Set by `-q`, `-v` and `--color`. */
  readonly style: Style;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Returns to the start of a terminal's line, and empties it (ANSI CR EL). */
export const CLEAR_LINE = "\r\x1b[K";

/** The two ways of an {@link Io} to print text, by what writes to its streams. */
export function printer(
  out: (text: string) => void,
  err: (text: string) => void,
): Pick<Io, "out" | "err"> {
  return {
    out: (line) => out(`${printableLines(line)}\n`),
    err: (text, lead = "") => err(lead + printableLines(text)),
  };
}

/** The stdin, stdout and stderr of the process. */
export function processIo(signal: AbortSignal, noColour: boolean): Io {
  const write = (to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  };
  const encoder = new TextEncoder();
  const errIsTerminal = Deno.stderr.isTerminal();
  const toOut = (text: string) => write(Deno.stdout, encoder.encode(text));
  const toErr = (text: string) => {
    try {
      write(Deno.stderr, encoder.encode(text));
    } catch {
      // messages that nobody can read must not stop the work
    }
  };
  return {
    ...printer(toOut, toErr),
    outBytes: (bytes) => write(Deno.stdout, bytes),
    stdin: () => Deno.stdin.readable,
    inIsTerminal: Deno.stdin.isTerminal(),
    outIsTerminal: Deno.stdout.isTerminal(),
    errIsTerminal,
    // a pseudo-terminal may have no size
    columns: () => errIsTerminal && Deno.consoleSize().columns || 80,
    style: { quiet: false, verbose: false, colour: errIsTerminal && !noColour },
    signal,
  };
}

/** Prints a value as JSON in one line. */
export function outJson(io: Io, value: unknown): void {
  io.out(printableJson(JSON.stringify(value)));
}

/** Prints a line to stderr, unless `-q` forbids it. */
export function note(io: Io, line: string): void {
  if (!io.style.quiet) io.err(`${line}\n`);
}

/** Prints a line to stderr if `-v` asks for it. */
export function detail(io: Io, line: string): void {
  if (io.style.verbose) io.err(`${line}\n`);
}

/** Prints a warning to stderr. */
export function warn(io: Io, line: string): void {
  io.err(` ${line}\n`, coloured(io, 33, "warning:"));
}

/** Wraps text in a colour of the terminal's palette (ANSI SGR), if colours are on. */
export function coloured({ style }: Io, colour: number, text: string): string {
  return style.colour ? `\x1b[1;${colour}m${text}\x1b[0m` : text;
}
