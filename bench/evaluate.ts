/**
 * Measures a model of emoji:
 *
 *     deno task evaluate [MODEL] [--images N]
 *
 * @module
 */

import { help, parseFlags, type Spec, UsageError } from "../commands/flags/flags.ts";
import { GPU_FLAG, implementation } from "../commands/flags/gpu.ts";
import { integerFrom, on } from "../commands/flags/types.ts";
import { BitwiseError, Device } from "../engine/mod.ts";
import { findModel } from "../model/checkpoint/find_model.ts";
import { InfinityModel } from "../model/infinity.ts";
import { evaluateEmoji } from "./evaluate/emoji.ts";
import { type Figure, figureLine } from "./evaluate/measures.ts";

const SPEC = {
  name: "evaluate",
  summary: "Measures a model of emoji.",
  words: "[MODEL]",
  flags: {
    "images": { type: integerFrom(1, 4096), help: "Images of each measurement, at most (256)" },
    ...GPU_FLAG,
    "json": { type: on, help: "Print one JSON object" },
  },
} as const satisfies Spec;

async function main(): Promise<number> {
  const { values: given, words: [name, ...more], help: asked } = parseFlags(SPEC, Deno.args);
  if (asked) return console.log(help(SPEC).replace("bitwise evaluate", "deno task evaluate")), 0;
  if (more.length > 0) throw new UsageError(`Cannot measure "${more[0]}": one model at a time`);
  const folder = `${await findModel(name)}`;
  using device = await Device.open({ gpu: await implementation(given.gpu) });
  using model = await InfinityModel.load(folder, { device });
  const figures: Figure[] = [];
  for await (const figure of evaluateEmoji({ model, folder, images: given.images ?? 256 })) {
    figures.push(figure);
    if (!given.json) console.log(figureLine(figure));
  }
  if (given.json) {
    const values = Object.fromEntries(figures.map(({ name, value }) => [name, value]));
    console.log(JSON.stringify({ model: model.config.name, ...values }));
  }
  return 0;
}

try {
  Deno.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof BitwiseError)) throw error;
  console.error(`error: ${error.message}`);
  Deno.exitCode = error instanceof UsageError ? 2 : 1;
}
