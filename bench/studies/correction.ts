/** Bitwise self-correction on and off: what it does to samples that see their own mistakes. */

import type { Device } from "../../engine/mod.ts";
import { digits, type Effort, type Findings, type Study } from "./study.ts";
import { memorisable, type Sampled, sampled, shareTokenizer, small, trained } from "./training.ts";

/** Share of bits that are given wrong. */
const WRONG = 0.15;
/** Images that are learnt, and those of them that are generated. */
const [MEMORISED, IMAGES] = [192, 128];

async function run(device: Device, effort: Effort): Promise<Findings> {
  const images = Math.min(IMAGES, effort.images);
  const ways = [["on", 0.25], ["off", 0]] as const;
  const folder = await memorisable(device, MEMORISED, effort);
  const base = await small({ folder }, effort);
  const tokenizer = await trained(base, ["tokenizer"], "tokenizer", effort);
  const found: { name: string; free: Sampled; misled: Sampled }[] = [];
  for (const [name, flips] of ways) {
    const config = await small({ folder, transformer: { flips, flips_share: 0.7 } }, effort);
    await shareTokenizer(tokenizer, `${effort.folder}/${name}`);
    const output = await trained(config, ["transformer"], name, effort);
    found.push({
      name,
      free: await sampled(device, config, output, images),
      misled: await sampled(device, config, output, images, WRONG),
    });
  }
  const percent = (shares: readonly number[]) =>
    shares.map((share) => (100 * share).toFixed(1)).join(" / ") + " %";
  const table = (title: string, key: "free" | "misled") => ({
    title,
    columns: [
      "self-correction",
      "PSNR to the truth",
      "distance of features",
      "Fréchet distance",
      "bits right after what is before, by scale",
    ],
    rows: found.map(({ name, [key]: { psnr, distance, frechet, mending } }) => [
      name,
      `${digits(psnr)} dB`,
      digits(distance),
      digits(frechet),
      percent(mending),
    ]),
  });
  return {
    tables: [
      table(`${images} samples of captions that were learnt, drawn freely`, "free"),
      table(
        `The same, but with ${100 * WRONG} % of the first two scales' bits given wrong`,
        "misled",
      ),
    ],
    charts: (["free", "misled"] as const).map((key) => ({
      title: key === "free" ? "Drawn freely" : "After wrong bits at scales 1 and 2",
      x: "scale",
      y: "share of bits right after what is before",
      scales: ["linear", "linear"],
      series: found.map(({ name, [key]: { mending } }) => ({
        name: `self-correction ${name}`,
        points: mending.map((y, i) => ({ x: i + 1, y })),
      })),
    })),
    notes: [
      "The Fréchet distance is that of normal distributions fitted to mean features of the tokenizer's encoder: it is not " +
      "comparable with FID. Bits are right that the true image asks for after what stands at the scales before, mistakes " +
      "included: a model that mends has more of them. Flips make what is to be learnt harder, in as many steps: a model that " +
      "hardly makes mistakes gains nothing by them.",
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
