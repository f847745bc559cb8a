import type { Device, Tensor } from "../../engine/mod.ts";
import { widen } from "../../kernels/elementwise/widen.ts";
import { dequantise } from "../../kernels/linear/dequantise.ts";
import type { QuantisedType } from "../../kernels/linear/weight_types.ts";

/** How the bytes of a {@link StoredMatrix} lie on the GPU. */
export type StoredBytes =
  /** f16 [N, K]. */
  | { readonly type: "f16"; readonly x: Tensor }
  /** 16-bit floats, two per u32 word. */
  | { readonly type: "F16" | "BF16"; readonly x: Tensor }
  /** Quantised blocks and their scales, see `dequantise()`. */
  | { readonly type: QuantisedType; readonly x: Tensor; readonly scales: Tensor };

/** A matrix [N, K] on the GPU as its file holds it: it takes no more memory, and is wide only while it is used. */
export class StoredMatrix {
  /** Takes bytes that stay the caller's. */
  constructor(
    private readonly device: Device,
    readonly shape: readonly [N: number, K: number],
    private readonly bytes: StoredBytes,
  ) {}

  /** The same values, f16 or f32 [N, K]. The caller disposes them, and keeps them no longer than needed. */
  widened(): Tensor {
    const { device, shape, bytes } = this;
    if (bytes.type === "f16") return bytes.x.reshape(...shape);
    const y = device.tensor("f32", shape, "widened weight");
    if ("scales" in bytes) dequantise(device, { ...bytes, y });
    else widen(device, { x: bytes.x, y, from: bytes.type });
    return y;
  }
}
