import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./pair_difference.wgsl" with { type: "text" };
import { vectorsOf } from "../shared/vectors.ts";

const kernel = defineKernel("pair_difference", source, ["x", "y"], ["count", "width"]);

/** Arguments of {@link pairDifference}. */
export interface PairDifferenceArgs {
  /** [2·d, C] or [2·d] f32. */
  readonly x: Tensor;
  /** [d, C] or [d] f32. */
  readonly y: Tensor;
}

/** Vs of a row, their type, and how many `pairs` has; null if its rows are not half as many as those of `rows`. */
export function pairLayout(
  rows: Tensor,
  pairs: Tensor,
): { width: number; V: string; count: number } | null {
  const [n = 0, ...rest] = rows.shape;
  const fits = [n / 2, ...rest].join() === pairs.shape.join() && n % 2 === 0;
  if (!fits || rows.dtype !== "f32" || pairs.dtype !== "f32") return null;
  const C = rows.elements / n;
  const { per, type } = vectorsOf(C);
  return { width: C / per, V: type("f32"), count: pairs.elements / per };
}

/**
 * y[k] = x[2k + 1] − x[2k]: the rows of the official head [2·d, C] that make a bit's two logits (`head` in
 * infinity/models/infinity.py), as the row that makes their difference.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function pairDifference(device: Device, { x, y }: PairDifferenceArgs): void {
  const layout = pairLayout(x, y);
  if (!layout) {
    throw new KernelError(
      "bad-shape",
      `Cannot take differences of ${x.dtype} [${x.shape}] into ${y.dtype} [${y.shape}]`,
    );
  }
  const { width, V, count } = layout;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, V },
    bind: { x, y },
    params: { count, width },
    workgroups,
  });
}
