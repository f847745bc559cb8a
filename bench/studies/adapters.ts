/** A style that adapters of low rank learn: how well, for what they never saw, and what it does to everything else. */

import { join } from "../../deps/@std/path.ts";
import type { Device } from "../../engine/mod.ts";
import { psnr } from "../../model/image/metrics.ts";
import { encodePng } from "../../model/image/png.ts";
import { InfinityModel } from "../../model/infinity.ts";
import type { LoraOption } from "../../model/checkpoint/lora.ts";
import { SheetSource } from "../../model/training/data/files/sheet.ts";
import { finetuneConfig } from "../../model/training/config/finetune_config.ts";
import { train } from "../../model/training/stages/train.ts";
import { mean } from "../measuring/measure.ts";
import { rgbaOf } from "../measuring/pixels.ts";
import { digits, type Effort, type Findings, scaled, type Study } from "./study.ts";
import { ASSETS } from "./training.ts";

/** The model that learns the style, by heart a catalogue of emoji. */
const MODEL = "emoji-nano";
const SIZE = 32;
/** Emoji that are learnt in the style, and emoji that are only asked for in it. */
const [LEARNT, UNSEEN] = [96, 64];
/** Steps and images of a step. */
const [STEPS, BATCH] = [150, 32];
/** Ranks of adapters; 0 trains all weights. */
const RANKS = [2, 8, 32, 0] as const;
/** The rank whose strength is varied, and its strengths. */
const [VARIED, STRENGTHS] = [8, [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]] as const;

/** An emoji, as it is and in the style. */
interface Pair {
  readonly label: string;
  readonly plain: Float32Array;
  readonly styled: Float32Array;
}

/** PSNR of what is generated to what it should be, in dB. */
interface Marks {
  /** Emoji of the training, in the style. */
  readonly learnt: number;
  /** Others, in the style. */
  readonly unseen: number;
  /** Those others, without a word of the style. */
  readonly plain: number;
}

/** What a prompt is in the style. */
function styled(label: string): string {
  return `blueprint of ${label}`;
}

/** RGB from −1 to 1 in shades of blue. */
function blueprint(rgb: Float32Array): Float32Array {
  return rgb.map((_, i) => {
    const at = i - i % 3;
    const light = (0.3 * rgb[at]! + 0.59 * rgb[at + 1]! + 0.11 * rgb[at + 2]! + 1) / 2;
    return 2 * [light, 0.3 + 0.7 * light, 0.6 + 0.4 * light][i % 3]! - 1;
  });
}

/** Emoji of different names, the first to be learnt in the style. */
async function pairs(device: Device): Promise<Pair[]> {
  const data = await SheetSource.open(device, `${ASSETS}training/emoji`, {
    size: { width: SIZE, height: SIZE },
    seed: 1n,
    which: "training",
    mirror: 0,
  });
  const { labels, values } = data.truths();
  data.dispose();
  const one = 3 * SIZE * SIZE;
  const names = [...new Set(labels)];
  // spread over the sheet, whose neighbours are alike
  const step = Math.floor(names.length / (LEARNT + UNSEEN));
  return Array.from({ length: LEARNT + UNSEEN }, (_, i) => {
    const label = names[i * step]!;
    const at = labels.indexOf(label);
    const plain = values.slice(at * one, (at + 1) * one);
    return { label, plain, styled: blueprint(plain) };
  });
}

/** Generates what is asked for, and compares. */
async function compared(
  model: InfinityModel,
  pairs: readonly Pair[],
  prompt: (label: string) => string,
  truth: (pair: Pair) => Float32Array,
): Promise<number> {
  const prompts = pairs.map(({ label }) => prompt(label));
  const { images } = await model.generate({ prompt: prompts, seed: 1 });
  return mean(images.map((image, i) => {
    const rgba = rgbaOf(truth(pairs[i]!));
    return psnr(image, { width: SIZE, height: SIZE, rgba });
  }));
}

async function marked(
  device: Device,
  folder: string,
  all: readonly Pair[],
  lora: readonly LoraOption[] = [],
): Promise<Marks> {
  using model = await InfinityModel.load(folder, { device, lora });
  const [learnt, unseen] = [all.slice(0, UNSEEN), all.slice(LEARNT)];
  return {
    learnt: await compared(model, learnt, styled, (pair) => pair.styled),
    unseen: await compared(model, unseen, styled, (pair) => pair.styled),
    plain: await compared(model, unseen, (label) => label, (pair) => pair.plain),
  };
}

/** The same for what the tokenizer reconstructs: the most that a transformer could reach. */
async function reconstructed(device: Device, all: readonly Pair[]): Promise<Marks> {
  using model = await InfinityModel.load(MODEL, { device });
  const of = async (pairs: readonly Pair[], truth: (pair: Pair) => Float32Array) => {
    const each: number[] = [];
    for (const pair of pairs) {
      const image = { width: SIZE, height: SIZE, rgba: rgbaOf(truth(pair)) };
      each.push(psnr(await model.decode(await model.encode(image)), image));
    }
    return mean(each);
  };
  const others = all.slice(LEARNT);
  return {
    learnt: await of(all.slice(0, UNSEEN), (pair) => pair.styled),
    unseen: await of(others, (pair) => pair.styled),
    plain: await of(others, (pair) => pair.plain),
  };
}

async function run(device: Device, effort: Effort): Promise<Findings> {
  const all = await pairs(device);
  const data = join(effort.folder, "data");
  await Deno.mkdir(data);
  for (const [i, { label, styled: rgb }] of all.slice(0, LEARNT).entries()) {
    await Deno.writeFile(join(data, `${i}.png`), encodePng(rgbaOf(rgb), SIZE, SIZE));
    await Deno.writeTextFile(join(data, `${i}.txt`), styled(label));
  }
  const rows: (readonly string[])[] = [];
  const add = (name: string, file: string, { learnt, unseen, plain }: Marks) =>
    rows.push([name, file, ...[learnt, unseen, plain].map((db) => `${digits(db)} dB`)]);
  add("nothing", "", await marked(device, MODEL, all));
  const steps = scaled(STEPS, effort);
  const varied: { strength: number; marks: Marks }[] = [];
  for (const rank of RANKS) {
    const output = join(effort.folder, `rank ${rank}`);
    const config = await finetuneConfig(MODEL, data, { lora: rank, steps, batch: BATCH });
    const { files, seconds, loss } = await train(config, "transformer", { output });
    const name = rank > 0 ? `adapters of rank ${rank}` : "all weights";
    effort.say(`${name}: ${steps} steps in ${seconds.toFixed(0)} s, loss ${loss?.toFixed(4)}`);
    const bytes = (await Promise.all(files.map((path) => Deno.stat(path))))
      .reduce((sum, { size }) => sum + size, 0);
    const lora = (strength: number) => rank > 0 ? [{ path: files[0]!, strength }] : [];
    const from = rank > 0 ? MODEL : output;
    add(name, `${digits(bytes / 1e6)} MB`, await marked(device, from, all, lora(1)));
    for (const strength of rank === VARIED ? STRENGTHS : []) {
      varied.push({ strength, marks: await marked(device, from, all, lora(strength)) });
    }
  }
  add("the tokenizer's reconstructions", "", await reconstructed(device, all));
  const series = (name: string, of: (marks: Marks) => number) => ({
    name,
    points: varied.map(({ strength, marks }) => ({ x: strength, y: of(marks) })),
  });
  return {
    tables: [{
      title: `PSNR to the truth, of ${UNSEEN} images each`,
      columns: [
        "what was trained",
        "its file",
        "in the style, learnt in it",
        "in the style, others",
        "the others, without a word of it",
      ],
      rows,
    }],
    charts: [{
      title: `Adapters of rank ${VARIED}, by strength`,
      x: "strength",
      y: "dB",
      scales: ["linear", "linear"],
      series: [
        series("learnt in the style", ({ learnt }) => learnt),
        series("others in the style", ({ unseen }) => unseen),
        series("without a word of it", ({ plain }) => plain),
      ],
    }],
    notes: [
      "The tokenizer stays as it is, so nothing can be better than its reconstructions. Learning rates are the defaults of " +
      "`finetune`: 1e-3 with adapters, 1e-4 for all weights.",
    ],
  };
}

export const ADAPTERS: Study = {
  name: "adapters",
  title: "Adapters of low rank learn a style from a hundred images",
  method:
    `${MODEL} is finetuned on ${LEARNT} emoji in shades of blue, each called "blueprint of" and its name, and then asked ` +
    "for these, for others in the style, and for others as they were.",
  run,
};
