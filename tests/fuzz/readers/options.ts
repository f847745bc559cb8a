// Options of a model as programs without a type checker pass them, on a device that computes nothing.
import { dryGpu } from "../../../engine/mod.ts";
import { planGeneration } from "../../../model/generate/plan_generation.ts";
import type { ImageBits } from "../../../model/bits/image_bits.ts";
import type { GenerateOptions } from "../../../model/generate/options.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";
import { bits, CONFIG, image, value } from "./values.ts";

const SIZES = [1, 2, 3, 4];

const RIGHT: Readonly<Record<string, (random: Random) => unknown>> = {
  prompt: (random) => random.pick(["red apple", ["a", "b"], text(random)]),
  negativePrompt: text,
  batchCount: (random) => 1 + random.below(3),
  seed: (random) => random.pick([7, 7n, [1, 2], -1]),
  cfgScale: (random) => random.pick([2, [1, 2, 2, 1], 1]),
  cfgUntil: (random) => random.below(5),
  cfgInsertionLayer: (random) => random.pick([0, -1, [-1, -2]]),
  tau: () => 0.5,
  topK: () => 900,
  topP: () => 0.9,
  greedy: () => true,
  fast: (random) => random.pick([["kv"], ["prune"], []]),
  schedule: () => SIZES.map((side) => [side, side]),
  width: () => 32,
  height: () => 32,
  uniforms: () => [new Float32Array(32), undefined],
  forceBits: () => [new Uint8Array(32).fill(2)],
  trace: () => true,
  init: (random) => random.chance(0.5) ? image(random) : bits(random),
  mask: image,
  strength: () => 0.5,
  keepScales: () => 2,
  preview: () => true,
  onProgress: () => () => {},
  textFeatures: () => ({ features: new Float32Array(128), width: 128, lens: [1] }),
  negativeFeatures: () => ({ features: new Float32Array(128), width: 128, lens: [1] }),
};

function options(random: Random, names = Object.keys(RIGHT)): Record<string, unknown> {
  const out: Record<string, unknown> = random.chance(0.7) ? { prompt: "red apple" } : {};
  for (const name of random.list(0, 4, () => random.pick(names))) out[name] = RIGHT[name]!(random);
  if (random.chance(0.7)) out[random.pick(names)] = value(random);
  if (random.chance(0.05)) out[text(random)] = value(random);
  return out;
}

/** Loads the model that computes nothing when it is first used. */
let loading: Promise<InfinityModel> | undefined;
const model = () => loading ??= InfinityModel.synthetic(CONFIG, { gpu: dryGpu() });

export const planned = reader({
  make: (random) => random.chance(0.98) ? options(random) : value(random),
  async read(given) {
    const { plan } = await planGeneration(CONFIG, given as GenerateOptions);
    claim(Number.isSafeInteger(plan.images) && plan.images > 0, `${plan.images} images`);
    claim(plan.seeds.length === plan.images, "a seed for each image");
    for (const list of [plan.cfg, plan.tau]) {
      claim(
        list.length === plan.schedule.length && list.every(Number.isFinite),
        "numbers by scale",
      );
    }
  },
});

export const generated = reader({
  usesFiles: true, // a tuning that was saved
  make: (random) => random.chance(0.98) ? options(random) : value(random),
  async read(given) {
    const { images } = await (await model()).generate(given as GenerateOptions);
    for (const { width, height, rgba, bits } of images) {
      claim(rgba.length === 4 * width * height, "pixels");
      claim(bits.scales.length === bits.schedule.length, "bits");
    }
    claim((await model()).device.memory.liveBytes > 0, "the model stays");
  },
});

export const encoded = reader({
  usesFiles: true,
  make: (random) => ({
    image: random.chance(0.7) ? image(random) : value(random),
    options: random.chance(0.95)
      ? options(random, ["width", "height", "schedule", "trace"])
      : value(random),
  }),
  async read({ image, options }) {
    if (typeof options === "object" && options !== null) Reflect.deleteProperty(options, "prompt");
    const encoded = await (await model()).encode(image as Uint8Array, options as object);
    const { scales, schedule, d } = encoded;
    claim(
      scales.every(({ length }, s) => length === schedule[s]![0] * schedule[s]![1] * d),
      "bits",
    );
  },
});

export const decoded = reader({
  usesFiles: true,
  make: (random) => random.chance(0.8) ? bits(random) : value(random),
  async read(input) {
    const images = [await (await model()).decode(input as ImageBits)].flat();
    for (const { width, height, rgba } of images) {
      claim(rgba.length === 4 * width * height, "pixels");
    }
  },
});
