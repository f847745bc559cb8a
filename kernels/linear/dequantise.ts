import { defineKernel, type Device, grid, KernelError, type Tensor } from "../../engine/mod.ts";
import {
  QUANTISED_BLOCK,
  quantisedBytes,
  type QuantisedType,
  WEIGHT_FORMATS,
} from "./weight_types.ts";
import source from "./dequantise.wgsl" with { type: "text" };

const kernel = defineKernel("dequantise", source, ["x", "scales", "y"], ["words"]);

/** Arguments of {@link dequantise}. */
export interface DequantiseArgs {
  /** Raw bytes of a file: [N, K] signed bytes (q8_0), or [N, K/2] pairs of nibbles plus 8, the even k low (q4_0). */
  readonly x: Tensor;
  /** Raw bytes of [N, K/32] f16; an odd count leaves the last half word unused. */
  readonly scales: Tensor;
  /** [N, K] f32. */
  readonly y: Tensor;
  /** How x is quantised. */
  readonly type: QuantisedType;
}

/**
 * y = f32(x): turns quantised blocks of 32 weights with one f16 scale into f32, exactly (ggml's q8_0 and q4_0, with the
 * integers and the scales in tensors of their own).
 *
 * @throws {KernelError} `bad-shape`: K is not a multiple of 32, or x or scales hold less than y.
 */
export function dequantise(device: Device, { x, scales, y, type }: DequantiseArgs): void {
  const { bits, zero } = WEIGHT_FORMATS[type].quantisation;
  const { elements } = y;
  if (y.shape.at(-1)! % QUANTISED_BLOCK !== 0) {
    throw new KernelError(
      "bad-shape",
      `Cannot dequantise rows of ${y.shape.at(-1)}: not a multiple of ${QUANTISED_BLOCK}`,
    );
  }
  const scaleBytes = elements / QUANTISED_BLOCK * 2;
  if (x.byteLength < quantisedBytes(type, elements) || scales.byteLength < scaleBytes) {
    throw new KernelError(
      "bad-shape",
      `Cannot dequantise ${x.byteLength * 8 / bits} weights with ${scales.byteLength / 2} scales ` +
        `to ${elements} elements`,
    );
  }
  const words = elements * bits / 32;
  device.run(kernel, {
    specialise: { BITS: bits, ZERO: zero },
    bind: { x, scales, y },
    params: { words },
    workgroups: grid(Math.ceil(words / 64)),
  });
}
