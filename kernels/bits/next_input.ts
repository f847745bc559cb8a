import { type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { resample } from "./resample.ts";

/** Arguments of {@link nextInput}. */
export interface NextInputArgs {
  /** Sum of the codes so far, [B, H, W, dv] f32. */
  readonly sum: Tensor;
  /** Input of the next scale's tokens, [B, height·width, d] f32 or f16, where d is dv, or 4·dv with patches. */
  readonly y: Tensor;
  /** Rows of tokens. */
  readonly height: number;
  /** Columns of tokens. */
  readonly width: number;
  /** Whether a token holds a 2 × 2 square of codes. */
  readonly patchify: boolean;
}

/**
 * What the next scale sees of the scales before it: the sum of codes, resized linearly to the grid of the next scale,
 * even if that is smaller (`autoregressive_infer_cfg` in infinity/models/infinity.py).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function nextInput(device: Device, args: NextInputArgs): void {
  const { sum, y, height, width, patchify } = args;
  const [B = 0, L, d = 0] = y.shape;
  if (y.shape.length !== 3 || L !== height * width) {
    throw new KernelError("bad-shape", `Cannot make ${height} × ${width} tokens [${y.shape}]`);
  }
  const tokens = y.reshape(B, height, width, d);
  resample(device, { x: sum, y: tokens, mode: "linear", unshuffle: patchify });
}
