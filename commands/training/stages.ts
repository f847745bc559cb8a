import { UsageError } from "../flags/flags.ts";
import { InputError } from "../../engine/mod.ts";
import type { Stage, TrainConfig } from "../../model/training/mod.ts";

/** What the flags say in place of CONFIG.json. */
export interface Overrides {
  readonly minutes?: number;
  readonly steps?: number;
  readonly seed?: number;
}

/** The stages in the order in which they are trained. The library has them, too, but need not be loaded for flags. */
export const STAGES: readonly Stage[] = ["tokenizer", "transformer", "decoder"];

/** Reads which stages are meant. @throws {UsageError} There is no such stage. */
export function stagesOf(word: string | undefined): readonly Stage[] {
  if (word === "all") return STAGES;
  const stage = STAGES.find((stage) => stage === word);
  if (stage) return [stage];
  const given = word === undefined ? "without a stage" : `"${word}"`;
  throw new UsageError(`Cannot train ${given}: name tokenizer, transformer, decoder or all`);
}

/**
 * Returns the config with what the flags say. Minutes are shared out among several stages as the config's minutes are,
 * or equally.
 *
 * @throws {InputError} `bad-value`: steps are for one stage.
 */
export function overridden(
  config: TrainConfig,
  stages: readonly Stage[],
  { minutes, steps, seed }: Overrides,
): TrainConfig {
  if (steps !== undefined && stages.length > 1) {
    throw new InputError("bad-value", "Cannot share out steps among stages: name one stage");
  }
  const own = stages.map((stage) => config[stage].minutes ?? 0);
  const shares = own.every((value) => value > 0) ? own : own.map(() => 1);
  const sum = shares.reduce((total, share) => total + share, 0);
  const changed = stages.map((stage, i) => {
    const section = config[stage];
    const ends = minutes === undefined && steps === undefined ? section : {
      steps: steps ?? null,
      minutes: minutes === undefined ? null : minutes * shares[i]! / sum,
    };
    return [stage, { ...section, steps: ends.steps, minutes: ends.minutes }];
  });
  return { ...config, ...seed !== undefined && { seed }, ...Object.fromEntries(changed) };
}
