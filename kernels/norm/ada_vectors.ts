import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./ada_vectors.wgsl" with { type: "text" };

const kernel = defineKernel("ada_vectors", source, ["shared_vectors", "ada_gss", "y"], [
  "count",
  "block",
  "width",
]);

/** Arguments of {@link adaVectors}. */
export interface AdaVectorsArgs {
  /** Output of `shared_ada_lin` [B, 6·C] f32. */
  readonly shared: Tensor;
  /** `ada_gss` of all blocks [depth, 6·C] f32. */
  readonly adaGss: Tensor;
  /** [depth, B, 6·C] f32: gamma1, gamma2, scale1, scale2, shift1, shift2 for each block and image. */
  readonly y: Tensor;
}

/**
 * y[d, b] = shared[b] + adaGss[d]: the AdaLN vectors of each block (`CrossAttnBlock.forward` in
 * infinity/models/basic.py).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or the last axis is not divisible by 4.
 */
export function adaVectors(device: Device, { shared, adaGss, y }: AdaVectorsArgs): void {
  const [batch = 0, width = 0] = shared.shape;
  if (width % 4 || adaGss.shape[1] !== width || y.elements !== adaGss.elements * batch) {
    throw new KernelError(
      "bad-shape",
      `Cannot add [${shared.shape}] and [${adaGss.shape}] into [${y.shape}]`,
    );
  }
  const { WG, workgroups } = spread(device, y.elements / 4);
  device.run(kernel, {
    specialise: { WG },
    bind: { shared_vectors: shared, ada_gss: adaGss, y },
    params: { count: y.elements / 4, block: batch * width / 4, width: width / 4 },
    workgroups,
  });
}
