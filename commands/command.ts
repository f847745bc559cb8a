import { type Flags, help, parseFlags, type Spec, UsageError, type Values } from "./flags/flags.ts";
import { on, oneOf } from "./flags/types.ts";
import type { Io } from "./io/io.ts";

/** The flags of every command. */
const COMMON = {
  "verbose": { alias: "v", type: on, help: "Print settings, memory and times as well" },
  "quiet": { alias: "q", type: on, help: "Print errors and warnings only" },
  "color": { type: oneOf("auto", "always", "never"), help: "Colour messages (auto)" },
} as const satisfies Flags;

/** A command: takes its arguments, and returns the status that its process ends with. */
export interface Command {
  (args: readonly string[], io: Io): Promise<number>;
  /** What it takes, for help and shell completion. */
  readonly spec: Spec;
}

/** A command by its name: one line about it, and its code, which is loaded when it is called. */
export interface Entry {
  /** What it does, in one line. */
  readonly summary: string;
  /** Loads it: help needs no GPU, inspection no model. */
  readonly load: () => Promise<Command>;
}

/** Makes a command of its flags and what it does with them. */
export function command<const F extends Flags>(
  spec: Spec<F>,
  run: (given: Values<F>, words: readonly string[], io: Io) => Promise<number>,
): Command {
  const complete = { ...spec, flags: { ...spec.flags, ...COMMON } };
  const parseAndRun = async (args: readonly string[], io: Io) => {
    const { values, words, help: asked } = parseFlags(complete, args);
    if (asked) return io.out(help(complete)), 0;
    const { verbose, quiet, color } = values as Values<typeof COMMON>;
    if (verbose && quiet) {
      throw new UsageError("Cannot use --verbose and --quiet together: give one of them");
    }
    io.style.verbose = verbose === true;
    io.style.quiet = quiet === true;
    if (color === "always" || color === "never") io.style.colour = color === "always";
    return await run(values as unknown as Values<F>, words, io);
  };
  return Object.assign(parseAndRun, { spec: complete });
}
