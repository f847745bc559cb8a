/**
 * Prints what bench/device.sh measured as a table of one screen: `deno run -A bench/reports/summary.ts FOLDER`, the folder of
 * the files that `bench --save` wrote, gpu_dawn.json, stages_wgpu.json and so on. What is missing stays empty.
 *
 * @module
 */

import { readTorch } from "./compare_torch.ts";
import { digits, table } from "../measuring/measure.ts";
import type { Report } from "./report.ts";

const ROWS = [
  "product 2x2048x8192",
  "product 32x2048x8192",
  "product 128x2048x8192",
  "product 800x2048x8192",
  "product 1152x2048x6144",
  "product 4608x2048x8192",
  "product 8192x8192x2048",
  "attention 64x121",
  "attention 576x1497",
  "attention 4096x10521",
  "convolution 3x3 512 to 512, 256x256",
  "convolution 3x3 128 to 128, 1024x1024",
  "layer norm and AdaLN 8192x2048",
  "group norm and SiLU 1024x1024x128",
];
const FIGURES = [
  "emoji-nano 32 gpu",
  "125m 256 image",
  "2b 1024 image",
  "2b 1024 first image",
  "2b 1024 batch of 4",
  "2b 1024 gpu idle",
  "2b 1024 text",
  "2b 1024 transformer",
  "2b 1024 vae",
];

async function report(folder: string, name: string): Promise<Report> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder}/${name}.json`));
  } catch {
    return {}; // the step did not come so far
  }
}

const [folder = "."] = Deno.args;
const both = ["dawn", "wgpu"] as const;
const gpu = await Promise.all(both.map((name) => report(folder, `gpu_${name}`)));
const stages = await Promise.all(both.map((name) => report(folder, `stages_${name}`)));
const torch = await readTorch(new URL("results/torch-h200.json", import.meta.url).pathname);

const ceiling = (name: string, value: (report: Report) => number | undefined, unit: string) => {
  const cells = gpu.map((report) => {
    const number = value(report);
    return number ? `${digits(number)} ${unit}` : "";
  });
  return [name, ...cells, "", ""];
};
const cells = [
  ceiling("copy", ({ ceilings }) => ceilings?.["GB/s"], "GB/s"),
  ceiling("FMA, 8x8 sums", ({ ceilings }) => (ceilings?.["GFLOP/s"] ?? 0) / 1000, "TFLOP/s"),
  ceiling("matrices", ({ ceilings }) => (ceilings?.["matrix GFLOP/s"] ?? 0) / 1000, "TFLOP/s"),
  ceiling("dispatch, of it GPU", ({ overheads }) => overheads?.gpu, "us"),
  ceiling("submit", ({ overheads }) => overheads?.submit, "us"),
  ...ROWS.map((name) => {
    const own = gpu.map(({ gpu = [] }) => {
      const row = gpu.find((row) => row.name === name && row.type === "f16");
      if (!row) return "";
      const { microseconds, rate, unit, percent } = row;
      return `${digits(microseconds)} us, ${digits(rate)} ${unit}, ${percent.toFixed(0)}%`;
    });
    const theirs = torch.microseconds[name];
    return [name, ...own, "", theirs ? `${digits(theirs)} us` : ""];
  }),
  ...FIGURES.map((name) => {
    const found = stages.map(({ stages = [] }) => stages.find((figure) => figure.name === name));
    const own = found.map((figure) => figure ? `${digits(figure.value)} ${figure.unit}` : "");
    const targets = found.map((figure) =>
      figure?.target === undefined ? "-" : digits(figure.target)
    );
    const theirs = torch.microseconds[name];
    const goal = targets.every((target) => target === "-") ? "" : targets.join(", ");
    return [name, ...own, goal, theirs ? `${digits(theirs / 1000)} ms` : ""];
  }),
];
const machine = [...gpu, ...stages].find(({ machine }) => machine)?.machine;
console.log(`\n${machine?.Adapter ?? "nothing was measured"}\n`);
console.log(table(["", "Dawn", "wgpu", "target", "PyTorch, H200"], cells));
