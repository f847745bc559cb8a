import type { Values } from "./flags.ts";
import { FLEET_FLAGS } from "./fleet_flags.ts";
import { MAKER_FLAGS } from "./maker_flags.ts";
import { type FlagType, integer, numbers, on, path, seed, text } from "./types.ts";
import type { Shard } from "../../serve/batch/wanted.ts";

/** One part of several. */
const shard: FlagType<Shard> = {
  value: "I/N",
  need: "two numbers such as 1/4: the part of all parts, of which there are at most 1000",
  read(given) {
    const [, index = 0, count = 0] = /^(\d{1,4})\/(\d{1,4})$/.exec(given)?.map(Number) ?? [];
    return index >= 1 && index <= count && count <= 1000 ? { index, count } : undefined;
  },
};

/** The flags of `batch`. */
export const BATCH_FLAGS = {
  "output": { alias: "o", type: { ...path, value: "DIR" }, help: "Folder of the images" },
  "shard": { type: shard, help: "Make one of N parts of the list, for N machines" },
  "skip-broken": { type: on, help: "Leave out lines that are wrong" },
  "bits": { type: on, help: "Write the bits of each image as well" },
  "overwrite": { type: on, help: "Replace files that show something else" },
  "seed": { alias: "s", type: seed, help: "Seed of lines that have none (0)" },
  "negative-prompt": { alias: "n", type: text, help: "What lines avoid that do not say" },
  "width": { alias: "W", type: integer, help: "Width in pixels of lines that have none" },
  "height": { alias: "H", type: integer, help: "Height in pixels, with --width" },
  "cfg-scale": { type: numbers, help: "Guidance of lines that have none" },
  "tau": { type: numbers, help: "Temperature of lines that have none" },
  ...FLEET_FLAGS,
  ...MAKER_FLAGS,
  "json": { type: on, help: "Print one JSON object at the end" },
} as const;

/** The values that were given for {@link BATCH_FLAGS}. */
export type BatchGiven = Values<typeof BATCH_FLAGS>;
