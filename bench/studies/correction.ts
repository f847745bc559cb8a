/** Bitwise self-correction on and off: what it does to samples that see their own mistakes. */

import type { Device } from "../../engine/mod.ts";
import { digits, type Effort, type Findings, type Study } from "./study.ts";
import { lastReports, memorisable, sampled, shareTokenizer, small, trained } from "./training.ts";

/** Images that are learnt, and those of them that are generated. */
const [MEMORISED, IMAGES] = [192, 128];

async function run(device: Device, effort: Effort): Promise<Findings> {
  const ways = [["on", 0.25], ["off", 0]] as const;
  const folder = await memorisable(device, MEMORISED, effort);
  const base = await small({ folder }, effort);
  const tokenizer = await trained(base, ["tokenizer"], "tokenizer", effort);
  const found = [];
  for (const [name, flips] of ways) {
    const config = await small({ folder, transformer: { flips, flips_share: 0.7 } }, effort);
    await shareTokenizer(tokenizer, `${effort.folder}/${name}`);
    const output = await trained(config, ["transformer"], name, effort);
    found.push({
      name,
      ...await sampled(device, config, output, IMAGES),
      teacher: await lastReports(output, "transformer"),
    });
  }
  return {
    tables: [{
      title: `${IMAGES} samples of training captions, each beside the image that it stands for`,
      columns: [
        "self-correction",
        "PSNR to the truth",
        "distance of features",
        "Fréchet distance",
        "bits right after own mistakes, by scale",
      ],
      rows: found.map(({ name, psnr, distance, frechet, mending }) => [
        name,
        `${digits(psnr)} dB`,
        digits(distance),
        digits(frechet),
        mending.map((share) => `${(100 * share).toFixed(1)}`).join(" / ") + " %",
      ]),
    }],
    charts: [{
      title: "Bits right after own mistakes",
      x: "scale",
      y: "share",
      scales: ["linear", "linear"],
      series: found.map(({ name, mending }) => ({
        name: `self-correction ${name}`,
        points: mending.map((y, i) => ({ x: i + 1, y })),
      })),
    }],
    notes: [
      "The Fréchet distance is that of normal distributions fitted to mean features of the tokenizer's encoder: it is not " +
      "comparable with FID. `Bits right after own mistakes` are those that the true image asks for after what the " +
      "model itself drew at the scales before.",
    ],
  };
}

export const CORRECTION: Study = {
  name: "correction",
  title: "Bitwise self-correction makes a model mend its own mistakes",
  method:
    "Two transformers of the same size learn 192 emoji by heart with the same seed, steps and tokenizer, with and without " +
    "random flips, and draw without guidance at tau 0.5.",
  run,
};
