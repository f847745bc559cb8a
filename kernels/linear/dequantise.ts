import { defineKernel, type Device, grid, KernelError, type Tensor } from "../../engine/mod.ts";
import { BLOCK } from "./linear.ts";
import source from "./dequantise.wgsl" with { type: "text" };

const kernel = defineKernel("dequantise", source, ["x", "scales", "y"], ["words"]);

/** Arguments of {@link dequantise}. */
export interface DequantiseArgs {
  /** Raw bytes: [N, K] signed bytes (q8_0), or [N, K/2] pairs of nibbles around 8, the even k low (q4_0). */
  readonly x: Tensor;
  /** Raw bytes of [N, K/32] f16; an odd count leaves the last half word unused. */
  readonly scales: Tensor;
  /** [N, K] f32. */
  readonly y: Tensor;
  /** What the blocks are. */
  readonly type: "q8_0" | "q4_0";
}

/**
 * y = f32(x): blocks of 32 weights with one f16 scale to f32, exactly (ggml's q8_0 and q4_0, bytes and scales apart).
 *
 * @throws {KernelError} `bad-shape`: K is not a multiple of 32, or x or scales hold less than y.
 */
export function dequantise(device: Device, { x, scales, y, type }: DequantiseArgs): void {
  const bits = type === "q8_0" ? 8 : 4;
  const { elements } = y;
  if (y.shape.at(-1)! % BLOCK !== 0) {
    throw new KernelError("bad-shape", `Cannot dequantise rows of ${y.shape.at(-1)}: not blocks`);
  }
  if (x.byteLength < elements * bits / 8 || scales.byteLength < elements / BLOCK * 2) {
    throw new KernelError(
      "bad-shape",
      `Cannot dequantise ${x.byteLength * 8 / bits} weights with ${scales.byteLength / 2} scales ` +
        `to ${elements} elements`,
    );
  }
  const words = elements * bits / 32;
  device.run(kernel, {
    specialise: { BITS: bits },
    bind: { x, scales, y },
    params: { words },
    workgroups: grid(Math.ceil(words / 64)),
  });
}
