import type { Io } from "./io.ts";

/** Tells on stderr what is going on: one line that changes on a terminal, else a line for each step. */
export class ProgressLine {
  #shown = false;

  /** Writes to `io`. */
  constructor(private readonly io: Io) {}

  /** Says what has been done. */
  show(text: string): void {
    this.io.err(this.io.errIsTerminal ? `\r\x1b[K${text}` : `${text}\n`);
    this.#shown = true;
  }

  /** Ends the line, so that other output may follow. */
  [Symbol.dispose](): void {
    if (this.#shown && this.io.errIsTerminal) this.io.err("\r\x1b[K");
    this.#shown = false;
  }
}

/** Seconds for people. */
export function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}
