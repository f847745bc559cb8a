/** How much is printed to stderr, and how; the flags of a command set it. */
export interface Style {
  /** Errors and warnings only. */
  quiet: boolean;
  /** Settings, memory and times as well. */
  verbose: boolean;
  /** Whether messages may be coloured. */
  colour: boolean;
}

/** What a command may touch of the terminal; tests pass their own. */
export interface Io {
  /** Writes a line of results to stdout. */
  out(line: string): void;
  /** Writes a file to stdout. */
  outBytes(bytes: Uint8Array): void;
  /** Writes text to stderr, unchanged. */
  err(text: string): void;
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

/** The stdin, stdout and stderr of the process. */
export function processIo(signal: AbortSignal, noColour: boolean): Io {
  const write = (to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  };
  const encoder = new TextEncoder();
  const errIsTerminal = Deno.stderr.isTerminal();
  return {
    out: (line) => write(Deno.stdout, encoder.encode(`${line}\n`)),
    outBytes: (bytes) => write(Deno.stdout, bytes),
    err(text) {
      try {
        write(Deno.stderr, encoder.encode(text));
      } catch {
        // messages that nobody can read must not stop the work
      }
    },
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
  io.err(`${coloured(io, 33, "warning:")} ${line}\n`);
}

/** Wraps text in a colour of the terminal's palette (ANSI SGR), if colours are on. */
export function coloured({ style }: Io, colour: number, text: string): string {
  return style.colour ? `\x1b[1;${colour}m${text}\x1b[0m` : text;
}

/** Waits for `step`, but not longer than until Ctrl-C. */
export function orAbort<T>(signal: AbortSignal, step: Promise<T>): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  return Promise.race([step, promise]).finally(() => signal.removeEventListener("abort", stop));
}
