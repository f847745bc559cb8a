import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import strengthsSource from "./edge_strengths.wgsl" with { type: "text" };
import source from "./edge_weights.wgsl" with { type: "text" };

const strengthsKernel = defineKernel("edge_strengths", strengthsSource, ["x", "edges"], [
  "count",
  "height",
  "width",
  "C",
]);
const kernel = defineKernel("edge_weights", source, ["edges", "y"], [
  "count",
  "height",
  "width",
  "amount",
  "gain",
]);

/** Arguments of {@link edgeWeights}. */
export interface EdgeWeightsArgs {
  /** Images, [B, H, W, C] f32. */
  readonly x: Tensor;
  /** [B, H, W] f32. */
  readonly y: Tensor;
  /** What is added to the weight of 1 next to strong edges. */
  readonly amount: number;
  /** What edges are multiplied by: 1 / gain is a strong one. */
  readonly gain: number;
}

/**
 * y = 1 + amount · min(1, gain · e), with e the largest sum of absolute differences to the right and downwards, of the
 * channel where they are largest, within two pixels.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function edgeWeights(device: Device, { x, y, amount, gain }: EdgeWeightsArgs): void {
  const [B = 0, height = 0, width = 0, C = 0] = x.shape;
  const f32 = x.dtype === "f32" && y.dtype === "f32";
  if (!f32 || x.shape.length !== 4 || y.shape.join() !== [B, height, width].join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot weight edges of ${x.dtype} [${x.shape}] into ${y.dtype} [${y.shape}]`,
    );
  }
  const count = y.elements;
  using edges = device.tensor("f32", y.shape, "edges");
  const { WG, workgroups } = spread(device, count);
  const functions = divideLines(device, count);
  device.run(strengthsKernel, {
    specialise: { WG },
    functions,
    bind: { x, edges },
    params: { count, height, width, C },
    workgroups,
  });
  device.run(kernel, {
    specialise: { WG },
    functions,
    bind: { edges, y },
    params: { count, height, width, amount, gain },
    workgroups,
  });
}
