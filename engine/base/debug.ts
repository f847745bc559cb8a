import { readEnv } from "./environment.ts";
import { printableLines } from "./printable.ts";

/**
 * Where a device writes what it does, and how much of it. Each level includes those below: 1 is for stack traces, which
 * the command line prints; 2 times every dispatch; 3 logs which variant of a kernel runs, and why; 4 logs the WGSL of
 * every pipeline.
 */
export interface DebugOptions {
  /** 0 to 4; 0 is off. */
  readonly level: number;
  /** Takes one message, of one or more lines without a final line break. Prints to stderr if absent. */
  readonly log?: (message: string) => void;
}

/**
 * The level that the environment variable `BITWISE_DEBUG` asks for: its number, or 1 if it is another word.
 *
 * @param env Reads an environment variable; by default, if that is permitted without asking.
 * @returns 0 if the variable is empty or cannot be read.
 */
export function debugLevel(env: (name: string) => string | undefined = readEnv): number {
  const level = Number(env("BITWISE_DEBUG") || 0);
  return Number.isFinite(level) ? level : 1;
}

/** Logs what a device does, each thing once. A device has none while its level is below 2. */
export class Debug {
  /** See {@link DebugOptions.level}. */
  readonly level: number;
  #log: (message: string) => void;
  #known: Set<string> = new Set();

  /** Logs at the given level. */
  constructor({ level, log = console.error }: DebugOptions) {
    this.level = level;
    this.#log = (message) => log(printableLines(message));
  }

  /**
   * Level 3: logs that a kernel runs as `variant`, the first time.
   *
   * @param kernel The kernel, or what is chosen for it.
   * @param variant What was chosen.
   * @param reason Why, as a phrase.
   */
  variant(kernel: string, variant: string, reason: string): void {
    const key = `${kernel}: ${variant}`;
    if (this.level < 3 || this.#known.has(key)) return;
    this.#known.add(key);
    this.#log(`${key} (${reason})`);
  }

  /** Level 4: logs the WGSL of a pipeline that is about to be compiled. */
  shader(kernel: string, specialise: Readonly<Record<string, unknown>>, code: string): void {
    if (this.level < 4) return;
    const constants = Object.entries(specialise).map(([name, value]) => `${name}=${value}`);
    this.#log(`// ${[kernel, ...constants].join(" ")}\n${code.trim()}`);
  }

  /** Logs a message at any level. */
  log(message: string): void {
    this.#log(message);
  }
}

/** Makes the log of a device: as `options` say, or the environment; null below level 2. */
export function openDebug(options: DebugOptions = { level: debugLevel() }): Debug | null {
  return options.level >= 2 ? new Debug(options) : null;
}
