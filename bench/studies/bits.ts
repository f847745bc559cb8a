/** Tokenizers with more and fewer bits per token, at equal compute, and the transformers that predict them. */

import type { Device } from "../../engine/mod.ts";
import { digits, type Effort, type Findings, scaled, type Study } from "./study.ts";
import { lastReports, reconstructed, sampled, small, trained } from "./training.ts";

const BITS = [8, 16, 32, 64];
/** Tokens of an image. */
const TOKENS = 30;
/** Pixels across and down. */
const SIDE = 16;
/** Steps of each tokenizer: fewer do not tell them apart. */
const STEPS = 2500;
/** Images that are generated. */
const IMAGES = 128;

async function run(device: Device, effort: Effort): Promise<Findings> {
  const found = [];
  // without mistakes, so that bits are all that limits it
  const tokenizer = { steps: scaled(STEPS, effort), flips: 0, scale_dropout: 0 };
  const images = Math.min(IMAGES, effort.images);
  for (const d of BITS) {
    const config = await small({ side: SIDE, d, tokenizer }, effort);
    const output = await trained(config, ["tokenizer", "transformer"], `d${d}`, effort);
    const seen = (await lastReports(output, "tokenizer")).psnr;
    const unseen = await reconstructed(device, config, output);
    const { bits } = await lastReports(output, "transformer");
    const samples = (await sampled(device, config, output, images)).psnr;
    found.push({ d, bpp: d * TOKENS / SIDE ** 2, seen, unseen, bits, samples });
  }
  return {
    tables: [{
      title: "The same numbers of steps and images for each",
      columns: [
        "d",
        "bits per pixel",
        "reconstruction while training",
        "of images that no training saw",
        "bits right, teacher forcing with flips",
        "samples to the truth",
      ],
      rows: found.map(({ d, bpp, seen, unseen, bits, samples }) => [
        d,
        digits(bpp),
        `${digits(seen)} dB`,
        `${digits(unseen)} dB`,
        `${digits(100 * bits)} %`,
        `${digits(samples)} dB`,
      ]),
    }],
    charts: [{
      title: "Reconstruction and samples",
      x: "bits per pixel",
      y: "PSNR in dB",
      scales: ["logarithmic", "linear"],
      series: [
        { name: "reconstructed, unseen", points: found.map((f) => ({ x: f.bpp, y: f.unseen })) },
        { name: "generated", points: found.map((f) => ({ x: f.bpp, y: f.samples })) },
      ],
    }],
    notes: [
      "PSNR while training is a mean over the last fifth of it. The trainings are short: reconstructions still improve, " +
      "and samples are far from the truth.",
    ],
  };
}

export const BITS_STUDY: Study = {
  name: "bits",
  title: "Tokenizers of 8 to 64 bits per token, at equal compute",
  method:
    "Tokenizers that differ only in d learn all emoji at 16x16 pixels, then a transformer on the bits of each, all with " +
    "the same steps.",
  run,
};
