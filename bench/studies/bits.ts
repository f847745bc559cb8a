/** Tokenizers with more and fewer bits per token, at equal compute, and the transformers that predict them. */

import type { Device } from "../../engine/mod.ts";
import { digits, type Effort, type Findings, type Study } from "./study.ts";
import { lastReports, memorisable, sampled, small, trained } from "./training.ts";

const BITS = [8, 16, 32, 64];
/** Tokens of an image, and its pixels. */
const [TOKENS, PIXELS] = [30, 32 * 32];
/** Images that are learnt, and those of them that are generated. */
const [MEMORISED, IMAGES] = [192, 128];

async function run(device: Device, effort: Effort): Promise<Findings> {
  const found = [];
  const folder = await memorisable(device, MEMORISED, effort);
  for (const d of BITS) {
    const config = await small({ d, folder }, effort);
    const output = await trained(config, ["tokenizer", "transformer"], `d${d}`, effort);
    const [tokenizer, transformer] = [
      await lastReports(output, "tokenizer"),
      await lastReports(output, "transformer"),
    ];
    const samples = await sampled(device, config, output, IMAGES);
    found.push({ d, bpp: d * TOKENS / PIXELS, tokenizer, transformer, samples });
  }
  return {
    tables: [{
      title: "The same numbers of steps and images for each",
      columns: [
        "d",
        "bits per pixel",
        "reconstruction",
        "bits right, teacher forcing with flips",
        "samples to the truth",
      ],
      rows: found.map(({ d, bpp, tokenizer, transformer, samples }) => [
        d,
        digits(bpp),
        `${digits(tokenizer.psnr)} dB`,
        `${digits(100 * transformer.bits)} %`,
        `${digits(samples.psnr)} dB`,
      ]),
    }],
    charts: [{
      title: "Reconstruction and samples",
      x: "bits per pixel",
      y: "PSNR in dB",
      scales: ["logarithmic", "linear"],
      series: [
        { name: "reconstructed", points: found.map((f) => ({ x: f.bpp, y: f.tokenizer.psnr })) },
        { name: "generated", points: found.map((f) => ({ x: f.bpp, y: f.samples.psnr })) },
      ],
    }],
    notes: [
      "PSNR of reconstructions is a mean over the last fifth of the training, flips included.",
    ],
  };
}

export const BITS_STUDY: Study = {
  name: "bits",
  title: "More bits per token reconstruct better",
  method:
    "Tokenizers that differ only in d learn 192 emoji, then a transformer on the bits of each, all with the same " +
    "steps.",
  run,
};
