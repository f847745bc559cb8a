import { CLEAR_LINE, type Io } from "./io.ts";

/** Characters of the bar. */
const BAR = 24;
/** Seconds after which the time left can be estimated. */
const WARM = 1;

/** Reports progress on stderr: one line with a bar on a terminal, else one line per step; nothing with `-q`. */
export class ProgressLine {
  #shown = false;
  #last = 0;
  #began: { readonly at: number; readonly part: number } | undefined;

  /** Writes to `io`; `now` is the clock in milliseconds. */
  constructor(
    private readonly io: Io,
    private readonly now: () => number = performance.now.bind(performance),
  ) {}

  /**
   * Says what was done.
   *
   * @param part How much of the work is done, from 0 to 1; absent if unknown.
   */
  show(text: string, part?: number): void {
    if (this.io.style.quiet) return;
    if (!this.io.errIsTerminal) return this.io.err(`${text}\n`);
    const line = part === undefined ? text : `${this.#bar(part)} | ${text}`;
    this.io.err([...line].slice(0, this.io.columns() - 1).join(""), CLEAR_LINE);
    this.#shown = true;
  }

  /** Ends the line, so that other output may follow. */
  [Symbol.dispose](): void {
    if (this.#shown) this.io.err("", CLEAR_LINE);
    this.#shown = false;
  }

  #bar(part: number): string {
    // another file or step starts over
    if (this.#began === undefined || part < this.#last) this.#began = { at: this.now(), part };
    this.#last = part;
    const filled = Math.floor(part * BAR);
    const bar = "=".repeat(filled) + (filled < BAR ? ">" : "");
    const percent = `${Math.floor(100 * part)}`.padStart(3);
    return `[${bar.padEnd(BAR)}] ${percent} %${this.#timeLeft(part)}`;
  }

  /** The time left if the work continues at the pace since the first report. */
  #timeLeft(part: number): string {
    const { at, part: first } = this.#began!;
    const spent = (this.now() - at) / 1000;
    if (spent < WARM || part <= first || part >= 1) return "";
    return `, ${duration(spent * (1 - part) / (part - first))} left`;
  }
}

/** Passes on each part of the work that is a percent further on a terminal, elsewhere a tenth. */
export function inSteps(io: Io, show: (part: number) => void): (part: number) => void {
  const steps = io.errIsTerminal ? 100 : 10;
  let last = -1;
  return (part) => {
    const step = Math.floor(steps * part);
    if (step === last) return;
    last = step;
    show(part);
  };
}

/** Formats a time that is still to come. */
export function duration(seconds: number): string {
  const total = Math.max(1, Math.round(seconds));
  if (total < 60) return `${total} s`;
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  const two = (n: number) => `${n}`.padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)} h` : `${minutes}:${two(total % 60)} min`;
}

/** Formats a time that was measured. */
export function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}
