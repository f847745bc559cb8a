import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import source from "./code_losses.wgsl" with { type: "text" };
import meansSource from "./code_losses_means.wgsl" with { type: "text" };
import soft from "./code_losses_soft.wgsl" with { type: "text" };
import { vectorsOf } from "../shared/vectors.ts";

const kernel = defineKernel("code_losses", source, ["n", "sums", "gradient", "terms"], [
  "rows",
  "width",
  "sharpness",
  "share",
  "size",
  "mean",
  "vector",
  "codebook",
  "commitment",
  "scale",
  "part",
]);
const meansKernel = defineKernel("code_losses_means", meansSource, ["n", "p"], [
  "count",
  "sharpness",
]);

/** What the losses of codes count. */
export interface CodeLossWeights {
  /** Entropy of a vector's soft code, which falls as vectors decide; 0 if absent. */
  readonly vector?: number;
  /** Entropy of the mean code, which is subtracted: it grows as all codes are used; 0 if absent. */
  readonly codebook?: number;
  /** Mean squared distance of vectors from their codes; 0 if absent. */
  readonly commitment?: number;
  /** How sharp soft codes are; 100 if absent. */
  readonly inverseTemperature?: number;
}

/** Arguments of {@link codeLosses}. */
export interface CodeLossesArgs extends CodeLossWeights {
  /** Unit vectors, [.., d] f32. */
  readonly n: Tensor;
  /** As n: the gradient of the loss; null if nobody wants it. */
  readonly gradient: Gradient | null;
  /** What the loss and its gradient are multiplied by, such as one over the number of scales; 1 if absent. */
  readonly part?: number;
  /** What the gradient is multiplied by besides; 1 if absent. */
  readonly scale?: number;
  /** [4] f32: the loss, and before weighting the entropy of a vector, that of the codebook, and the commitment. */
  readonly stats: Gradient | null;
}

const prelude = memoised((total: string): string => `${soft}\n${total}`);

/**
 * Losses that push unit vectors towards the codes of binary spherical quantisation, and their gradient
 * (`soft_entropy_loss` in infinity/models/bsq_vae/multiscale_bsq.py; arXiv 2406.07548, section 3.3). A component is +1/√d
 * with the soft probability sigmoid(4 · inverseTemperature / √d · n). Sums are f32, in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function codeLosses(device: Device, args: CodeLossesArgs): void {
  const { n, gradient, part = 1, scale = 1, stats, vector = 0, codebook = 0, commitment = 0 } =
    args;
  const { inverseTemperature = 100 } = args;
  const d = n.shape.at(-1) ?? 1;
  const rows = n.elements / d;
  if (
    n.dtype !== "f32" || (gradient && gradient.tensor.shape.join() !== n.shape.join()) ||
    (gradient && gradient.tensor.dtype !== "f32") || (stats && stats.tensor.elements !== 4)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot take losses of codes ${n.dtype} [${n.shape}]` +
        (gradient ? `, gradient ${gradient.tensor.dtype} [${gradient.tensor.shape}]` : "") +
        (stats ? `, sums [${stats.tensor.shape}]` : ""),
    );
  }
  const { per, type, total } = vectorsOf(d);
  const sharpness = 4 * inverseTemperature / Math.sqrt(d);
  using p = device.tensor("f32", [rows, d], "soft codes");
  const all = spread(device, n.elements / per);
  device.run(meansKernel, {
    specialise: { WG: all.WG, V: type("f32") },
    functions: soft,
    bind: { n, p },
    params: { count: n.elements / per, sharpness },
    workgroups: all.workgroups,
  });
  using sums = device.tensor("f32", [d], "mean code");
  columnSums(device, { x: p, y: { tensor: sums, add: false } });
  using terms = device.tensor("f32", [rows, 4], "losses of codes");
  const { WG, workgroups } = spread(device, rows);
  device.run(kernel, {
    specialise: {
      WG,
      V: type("f32"),
      GRADIENT: gradient !== null,
      ADD: gradient?.add ?? false,
    },
    functions: prelude(total),
    bind: { n, sums, gradient: gradient?.tensor ?? null, terms },
    params: {
      rows,
      width: d / per,
      sharpness,
      share: 1 / rows,
      size: 1 / Math.sqrt(d),
      mean: 1 / n.elements,
      vector,
      codebook,
      commitment,
      scale: scale * part,
      part,
    },
    workgroups,
  });
  if (stats) columnSums(device, { x: terms, y: stats });
}
