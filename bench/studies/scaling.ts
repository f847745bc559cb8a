/** Transformers of several sizes: validation loss against parameters and compute. */

import type { Device } from "../../engine/mod.ts";
import { countParameters, parameterShapes } from "../../model/checkpoint/tensor_shapes.ts";
import { openData } from "../../model/training/data/open_data.ts";
import type { TrainConfig } from "../../model/training/config/types.ts";
import { teacherForced } from "../measuring/teacher_forcing.ts";
import { digits, type Effort, type Findings, type Study } from "./study.ts";
import { shareTokenizer, small, trained } from "./training.ts";

const SIZES = [[64, 2], [64, 4], [128, 4], [192, 4], [256, 6]] as const;
/** Tokens of an image. */
const TOKENS = 30;

/** The loss of a trained transformer on tiles that no training saw, without flips. */
async function validation(device: Device, config: TrainConfig, output: string): Promise<number> {
  const { path } = config.data;
  const sizes = [config.model.image];
  const data = await openData(device, { kind: "sheet", path, sizes, which: "measuring" });
  const [found] = await teacherForced(device, config, output, data, { batch: 48, batches: 1 });
  data.dispose();
  return found!.loss;
}

/** Fits log y = a + b · log x, and returns b with the correlation of both logarithms. */
export function powerLaw(points: readonly { x: number; y: number }[]) {
  const logs = points.map(({ x, y }) => [Math.log(x), Math.log(y)] as const);
  const n = logs.length;
  const [mx, my] = [0, 1].map((k) => logs.reduce((sum, log) => sum + log[k]!, 0) / n) as [
    number,
    number,
  ];
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of logs) {
    xx += (x - mx) ** 2;
    xy += (x - mx) * (y - my);
    yy += (y - my) ** 2;
  }
  return { exponent: xy / xx, correlation: xy / Math.sqrt(xx * yy) };
}

async function run(device: Device, effort: Effort): Promise<Findings> {
  const base = await small({}, effort);
  const tokenizer = await trained(base, ["tokenizer"], "tokenizer", effort);
  const found: { name: string; parameters: number; flops: number; loss: number }[] = [];
  for (const [width, depth] of SIZES) {
    const config = await small({ width, depth }, effort);
    const name = `${width}x${depth}`;
    await shareTokenizer(tokenizer, `${effort.folder}/${name}`);
    const output = await trained(config, ["transformer"], name, effort);
    const parameters = countParameters(parameterShapes(config.model.transformer));
    const { steps, batch } = config.transformer;
    const flops = 6 * parameters * steps! * batch * TOKENS;
    found.push({ name, parameters, flops, loss: await validation(device, config, output) });
  }
  const fits = (["parameters", "flops"] as const).map((key) => ({
    key,
    ...powerLaw(found.map((f) => ({ x: f[key], y: f.loss }))),
  }));
  return {
    tables: [{
      title: "Validation loss on colour and object pairs that no training saw",
      columns: ["width x blocks", "parameters", "operations", "loss per bit"],
      rows: found.map(({ name, parameters, flops, loss }) => [
        name,
        digits(parameters),
        digits(flops),
        digits(loss, 4),
      ]),
    }, {
      title: "Power laws, loss ∝ x^exponent",
      columns: ["x", "exponent", "correlation of logarithms"],
      rows: fits.map(({ key, exponent, correlation }) => [
        key === "flops" ? "operations" : key,
        digits(exponent),
        digits(correlation),
      ]),
    }],
    charts: [{
      title: "Validation loss against size",
      x: "parameters",
      y: "loss per bit",
      scales: ["logarithmic", "logarithmic"],
      series: [{ name: "validation", points: found.map((f) => ({ x: f.parameters, y: f.loss })) }],
    }],
    notes: [
      "Operations are 6 · parameters · tokens. All sizes have the same steps, so parameters and compute rise together.",
    ],
  };
}

export const SCALING: Study = {
  name: "scaling",
  title: "Loss falls as a power of the transformer's size",
  method:
    "Transformers of five sizes are trained on emoji with the same tokenizer, seed and steps.",
  run,
};
