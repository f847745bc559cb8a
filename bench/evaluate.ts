/**
 * Measures a model of emoji or of emoji scenes:
 *
 *     deno task evaluate [MODEL] [--images N] [--cfg-scale N] [--sheet FILE.png [--against MODEL]]
 *
 * @module
 */

import { help, parseFlags, type Spec, UsageError } from "../commands/flags/flags.ts";
import { GPU_FLAG } from "../commands/flags/gpu.ts";
import { implementation } from "../model/parts/choose_gpu.ts";
import { integerFrom, numbers, on, path, text } from "../commands/flags/types.ts";
import { Device, InputError } from "../engine/mod.ts";
import { writeFileAtomic } from "../model/checkpoint/files.ts";
import { findModel } from "../model/checkpoint/find_model.ts";
import type { ModelConfig } from "../model/config/types.ts";
import { InfinityModel } from "../model/infinity.ts";
import { evaluateEmoji, NAMES } from "./evaluate/emoji.ts";
import { type Figure, figureLine } from "./evaluate/measures.ts";
import { SHOWN } from "./evaluate/prompts.ts";
import { evaluateScenes } from "./evaluate/scenes.ts";
import { drawSheet } from "./evaluate/sheet.ts";
import { runMain } from "./run_main.ts";

const SPEC = {
  name: "evaluate",
  summary: "Measures a model of 32x32 emoji, or of larger scenes of them.",
  words: "[MODEL]",
  flags: {
    "images": {
      type: integerFrom(1, 2048),
      help: "Images of each measurement, at most (256 emoji, 128 scenes)",
    },
    "cfg-scale": { type: numbers, help: "Guidance of what is measured (the model's default)" },
    "sheet": { type: path, help: "Draw images of fixed prompts to a PNG, too" },
    "against": { type: { ...text, value: "MODEL" }, help: "Draw another model's beside them" },
    ...GPU_FLAG,
    "json": { type: on, help: "Print one JSON object" },
  },
} as const satisfies Spec;

const EMOJI = { measure: evaluateEmoji, images: 256, prompts: NAMES };
const SCENES = { measure: evaluateScenes, images: 128, prompts: SHOWN };

/** What a model makes, by the size of its images. */
function kindOf({ image: { width, height } }: ModelConfig) {
  if (width === 32 && height === 32) return EMOJI;
  if (width === height && width % 16 === 0) return SCENES;
  const message = `Cannot measure images of ${width}x${height}: emoji have 32x32 pixels, and ` +
    "scenes are square with a multiple of 16";
  throw new InputError("image-size", message);
}

async function main(): Promise<number> {
  const { values: given, words: [name, ...more], help: asked } = parseFlags(SPEC, Deno.args);
  if (asked) return console.log(help(SPEC).replace("bitwise evaluate", "deno task evaluate")), 0;
  if (more.length > 0) throw new UsageError(`Cannot measure "${more[0]}": one model at a time`);
  const { sheet, against, json = false } = given;
  if (against !== undefined && sheet === undefined) {
    throw new UsageError("Cannot use --against alone: give --sheet, where images go");
  }
  const folder = `${await findModel(name)}`;
  using device = await Device.open({ gpu: await implementation(given.gpu) });
  using model = await InfinityModel.load(folder, { device });
  const { measure, images, prompts } = kindOf(model.config);
  if (sheet !== undefined) {
    using other = against === undefined ? null : await InfinityModel.load(against, { device });
    await writeFileAtomic(sheet, await drawSheet(other ? [model, other] : [model], prompts));
  }
  const figures: Figure[] = [];
  const most = given.images ?? images;
  for await (
    const figure of measure({ model, folder, images: most, cfgScale: given["cfg-scale"] })
  ) {
    figures.push(figure);
    if (!json) console.log(figureLine(figure));
  }
  if (json) {
    const values = Object.fromEntries(figures.map(({ name, value }) => [name, value]));
    const { adapter } = device.capabilities;
    console.log(JSON.stringify({ model: model.config.name, adapter, images: most, ...values }));
  }
  return 0;
}

await runMain(main);
