import type { Inspection } from "./inspection.ts";
import { table } from "../io/table.ts";
import { formatBytes, printable } from "../../engine/mod.ts";
import { bitEntropy } from "../../model/analysis.ts";
import { bitCount, type ImageBits } from "../../model/bits/image_bits.ts";
import { gridText } from "../../model/config/grid.ts";

/** Inspects an image's bits: their number and entropy by scale. */
export function bitsInspection(bits: ImageBits, bytes: number, path: string): Inspection {
  const { width, height, d, latent, schedule, model } = bits;
  const count = bitCount(bits);
  const bitsPerPixel = count / width / height;
  const scales = bitEntropy([bits]);
  const of = model === undefined ? "" : ` of ${printable(model)}`;
  const lines = [
    `${path}: an image of ${width}x${height} pixels as ${count.toLocaleString("en")} bits` +
    `${of}, ${bitsPerPixel.toFixed(3)} a pixel, ${formatBytes(bytes)}`,
    `${gridText(latent)} positions of ${d} bits, ${schedule.length} scales`,
    ...table(
      ["scale", "grid", "bits", "ones %", "entropy"],
      scales.map(({ grid, bits, ones, entropy }, s) => [
        `${s + 1}`,
        gridText(grid),
        bits.toLocaleString("en"),
        (100 * ones).toFixed(1),
        entropy.toFixed(3),
      ]),
    ),
  ];
  const report = {
    file: path,
    width,
    height,
    d,
    latent: gridText(latent),
    model,
    bits: count,
    bitsPerPixel,
    bytes,
    scales: scales.map((scale) => ({ ...scale, grid: gridText(scale.grid) })),
  };
  return { lines, report };
}
