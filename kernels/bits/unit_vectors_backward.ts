import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import source from "./unit_vectors_backward.wgsl" with { type: "text" };
import { vectorsOf } from "../shared/vectors.ts";

const kernel = defineKernel("unit_vectors_backward", source, ["x", "dy", "dx"], ["rows", "width"]);

/** Arguments of {@link unitVectorsBackward}. */
export interface UnitVectorsBackwardArgs {
  /** What was made a unit vector, [.., d] f32. */
  readonly x: Tensor;
  /** As x. */
  readonly dy: Tensor;
  /** As x. */
  readonly dx: Gradient;
}

/**
 * The gradient of `unitVectors`.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function unitVectorsBackward(device: Device, args: UnitVectorsBackwardArgs): void {
  const { x, dy, dx: { tensor: dx, add } } = args;
  const shape = x.shape.join();
  const f32 = [x, dy, dx].every(({ dtype }) => dtype === "f32");
  if (!f32 || dy.shape.join() !== shape || dx.shape.join() !== shape) {
    throw new KernelError(
      "bad-shape",
      `Cannot send the gradient ${dy.dtype} [${dy.shape}] of unit vectors to ${dx.dtype} ` +
        `[${dx.shape}]`,
    );
  }
  const d = x.shape.at(-1) ?? 1;
  const rows = x.elements / d;
  const { per, type, total } = vectorsOf(d);
  const { WG, workgroups } = spread(device, rows);
  device.run(kernel, {
    specialise: { WG, V: type("f32"), ADD: add },
    functions: total,
    bind: { x, dy, dx },
    params: { rows, width: d / per },
    workgroups,
  });
}
