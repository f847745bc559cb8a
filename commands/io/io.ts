/** What a command may touch of the terminal; tests hand in their own. */
export interface Io {
  /** Writes a line of results to stdout. */
  out(line: string): void;
  /** Writes a file to stdout. */
  outBytes(bytes: Uint8Array): void;
  /** Writes text to stderr as it is. */
  err(text: string): void;
  /** Whether stdout is a terminal. */
  readonly outIsTerminal: boolean;
  /** Whether stderr is a terminal. */
  readonly errIsTerminal: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The process's own stdout and stderr. */
export function processIo(signal: AbortSignal): Io {
  const write = (to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  };
  const encoder = new TextEncoder();
  return {
    out: (line) => write(Deno.stdout, encoder.encode(`${line}\n`)),
    outBytes: (bytes) => write(Deno.stdout, bytes),
    err: (text) => write(Deno.stderr, encoder.encode(text)),
    outIsTerminal: Deno.stdout.isTerminal(),
    errIsTerminal: Deno.stderr.isTerminal(),
    signal,
  };
}

/** Waits for `step`, but no longer than until Ctrl-C. */
export function orAbort<T>(signal: AbortSignal, step: Promise<T>): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  return Promise.race([step, promise]).finally(() => signal.removeEventListener("abort", stop));
}
