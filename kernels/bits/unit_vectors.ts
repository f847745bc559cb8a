import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./unit_vectors.wgsl" with { type: "text" };
import { vectorsOf } from "../shared/vectors.ts";

const kernel = defineKernel("unit_vectors", source, ["x", "y"], ["rows", "width"]);

/** Arguments of {@link unitVectors}. */
export interface UnitVectorsArgs {
  /** [.., d] f32. */
  readonly x: Tensor;
  /** As x. */
  readonly y: Tensor;
}

/**
 * y = x / |x| along the last axis (`l2norm` in infinity/models/bsq_vae/multiscale_bsq.py); a length below 1e-12 counts
 * as that.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function unitVectors(device: Device, { x, y }: UnitVectorsArgs): void {
  if (x.shape.join() !== y.shape.join() || x.dtype !== "f32" || y.dtype !== "f32") {
    throw new KernelError(
      "bad-shape",
      `Cannot make unit vectors ${y.dtype} [${y.shape}] of ${x.dtype} [${x.shape}]`,
    );
  }
  const d = x.shape.at(-1) ?? 1;
  const rows = x.elements / d;
  const { per, type, total } = vectorsOf(d);
  const { WG, workgroups } = spread(device, rows);
  device.run(kernel, {
    specialise: { WG, V: type("f32") },
    functions: total,
    bind: { x, y },
    params: { rows, width: d / per },
    workgroups,
  });
}
