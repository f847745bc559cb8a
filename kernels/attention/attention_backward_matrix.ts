/**
 * The sums of attention's backward pass on tensor cores, see attention_backward_matrix.wgsl.
 *
 * @module
 */

import { type Device, KernelError } from "../../engine/mod.ts";
import { toF16 } from "../shared/narrow.ts";
import { defineSums, launchSums, type SumsArgs } from "./attention_backward_launch.ts";
import { attentionLines, type AttentionMatrices, attentionMatrices } from "./attention_matrix.ts";
import source from "./attention_backward_matrix.wgsl" with { type: "text" };

const kernel = defineSums("attention_backward_matrix", source);

/** Null if the adapter has no f16 matrices, or none that fit heads of this width. */
export function backwardMatrices(device: Device, headDim: number): AttentionMatrices | null {
  return attentionMatrices(device, headDim, 2);
}

/**
 * The variant `matrix`.
 *
 * @throws {KernelError} `no-matrices`: see {@link backwardMatrices}.
 */
export function attentionBackwardMatrix(device: Device, args: SumsArgs): void {
  const { headDim } = args;
  const matrices = backwardMatrices(device, headDim);
  if (!matrices) {
    throw new KernelError(
      "no-matrices",
      `Cannot attend backwards by matrices on ${device.capabilities.adapter}, ${headDim} wide`,
    );
  }
  launchSums(device, args, {
    kernel,
    own: matrices.queries,
    specialise: matrices.specialise,
    functions: `${toF16("infinity")}\n${attentionLines(...matrices.cut)}`,
  });
}
