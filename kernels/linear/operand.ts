import { type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { usesTexture } from "../shared/textures.ts";
import { type Linear, packParts } from "./linear.ts";
import type { FloatType } from "./weight_types.ts";

/** How {@link packOperand} packs. */
export interface OperandOptions {
  /** Whether the parts are [Nᵢ, K], stacked along N, as weights are in files, instead of [Kᵢ, N], stacked along K. */
  readonly transposed: boolean;
  /** Storage type; f32 if absent. */
  readonly dtype?: FloatType | undefined;
  /** Factor of all parts; 1 if absent. */
  readonly scale?: number | undefined;
  /** [⌈N/4⌉·4] f32, added to each row of the product; none if absent. The caller keeps it. */
  readonly bias?: Tensor | null;
}

/** A {@link Linear} for a while. Disposing it gives its memory, but not its bias, back to the pool. */
export type Operand = Linear & Disposable;

/**
 * Packs the second factor of a product x · (scale · W) + b: a weight that changes with each step of training, or an activation.
 * The parts are f32 or f16; where they already lie as {@link matmul} reads them, the operand is a view of them. All
 * but the last must have a multiple of 4 rows.
 *
 * @throws {KernelError} `bad-shape`: the parts do not stack.
 */
export function packOperand(
  device: Device,
  parts: readonly Tensor[],
  { transposed, dtype = "f32", scale = 1, bias = null }: OperandOptions,
): Operand {
  const texture = usesTexture(device);
  const [part] = parts;
  if (!part) throw new KernelError("bad-shape", "Cannot pack an operand of no parts");
  const [K = 0, N = 0] = part.shape;
  const whole = K % 4 === 0 && N % 4 === 0 && scale === 1;
  if (!texture && !transposed && parts.length === 1 && part.dtype === dtype && whole) {
    return { weight: part, dtype, scales: null, bias, K, N, [Symbol.dispose]: () => {} };
  }
  const how = { transposed, dtype, scale, texture, label: "operand", role: "workspace" } as const;
  return device.allOrNothing(() => {
    const { packed, texture: fits, ...packing } = packParts(device, parts, how);
    const weight = fits ? device.stage(packed, "operand") : packed;
    if (fits) packed.dispose();
    return { weight, dtype, ...packing, bias, [Symbol.dispose]: () => weight.dispose() };
  });
}
