/** How many labels change when features move a little: of bits, and of the index that all bits of a token make. */

import { fromFileUrl } from "../../deps/@std/path.ts";
import type { Device, Tensor } from "../../engine/mod.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import { accumulate } from "../../kernels/elementwise/accumulate.ts";
import { quantiseFeatures } from "../../model/bits/quantiser.ts";
import { openFolder } from "../../model/checkpoint/folder.ts";
import { parseConfig } from "../../model/config/config.ts";
import { scheduleForSize } from "../../model/config/schedule.ts";
import { FolderSource } from "../../model/parts/parts.ts";
import { SheetSource } from "../../model/training/data/files/sheet.ts";
import { VaeEncoder } from "../../model/vae/vae_encoder.ts";
import { digits, type Findings, type Study } from "./study.ts";

const ASSETS = fromFileUrl(new URL("../../assets/", import.meta.url));
const IMAGES = 512;
/** Deviations of the noise, as shares of the deviation of features. */
const NOISE = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

/** Features of emoji, [B, h, w, d] f32, and the schedule of their scales. */
async function features(device: Device) {
  const folder = openFolder(`${ASSETS}models/emoji-nano`);
  const config = parseConfig(await folder.json("config.json"), "emoji-nano");
  const source = new FolderSource(folder, config, device, "f32");
  const encoder = await source.open("vae_encoder", (w) => VaeEncoder.load(w, config.vae));
  const size = config.image;
  const data = await SheetSource.open(device, `${ASSETS}training/emoji`, {
    size,
    seed: 1n,
    which: "all",
    mirror: 0,
  });
  const { images } = await data.batch(0, IMAGES);
  const made = encoder.encode(images);
  for (const one of [images, encoder, data]) one.dispose();
  return { features: made, schedule: scheduleForSize(config) };
}

/** Bits of all scales, by scale. */
async function bitsOf(
  device: Device,
  features: Tensor,
  schedule: readonly (readonly [number, number])[],
) {
  const bits = quantiseFeatures(device, features, schedule);
  const read = await device.readAll(bits);
  for (const one of bits) one.dispose();
  return read;
}

/** Shares of bits, and of tokens with a changed bit, over all scales. */
function changed(a: ArrayLike<number>[], b: ArrayLike<number>[], d: number) {
  let bits = 0, labels = 0, tokens = 0;
  a.forEach((scale, s) => {
    for (let t = 0; t < scale.length; t += d) {
      let own = 0;
      for (let i = t; i < t + d; i++) own += scale[i] === b[s]![i] ? 0 : 1;
      bits += own;
      labels += own > 0 ? 1 : 0;
      tokens++;
    }
  });
  return { bits: bits / (tokens * d), labels: labels / tokens };
}

async function run(device: Device): Promise<Findings> {
  const { features: real, schedule } = await features(device);
  const d = real.shape.at(-1)!;
  const values = await device.read(real);
  let square = 0;
  for (let i = 0; i < values.length; i++) square += values[i]! ** 2;
  const deviation = Math.sqrt(square / values.length);
  const rows: { noise: number; bits: number; labels: number }[] = [];
  const before = await bitsOf(device, real, schedule);
  for (const [i, noise] of NOISE.entries()) {
    using moved = device.tensor("f32", real.shape);
    randomNormal(device, { y: moved, key: 77 + i, deviation: noise * deviation });
    accumulate(device, real, { tensor: moved, add: true });
    rows.push({ noise, ...changed(before, await bitsOf(device, moved, schedule), d) });
  }
  real.dispose();
  return {
    tables: [{
      title: `Labels that change, of ${IMAGES} emoji in emoji-nano's tokenizer (d = ${d})`,
      columns: ["ε", "bits", "indices", "indices / bits"],
      rows: rows.map(({ noise, bits, labels }) => [
        noise,
        `${digits(100 * bits)} %`,
        `${digits(100 * labels)} %`,
        digits(labels / bits),
      ]),
    }],
    charts: [{
      title: "Labels that change when features move",
      x: "ε, noise relative to the deviation of features",
      y: "share of labels",
      scales: ["logarithmic", "logarithmic"],
      series: [
        { name: "bits", points: rows.map(({ noise, bits }) => ({ x: noise, y: bits })) },
        { name: "indices", points: rows.map(({ noise, labels }) => ({ x: noise, y: labels })) },
      ],
    }],
    notes: [
      "A small move flips few bits, but an index label changes as soon as any of its d bits does. A changed bit of a " +
      "coarse scale also changes the residual that finer scales quantise, in both cases alike.",
    ],
  };
}

export const LABELS: Study = {
  name: "labels",
  title: "Bit labels are steadier than index labels",
  method:
    "Features of real images are moved by normal noise and quantised at all scales. Counted are bits that differ, and " +
    "tokens of which any bit differs.",
  run,
};
