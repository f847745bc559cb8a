/**
 * Weights of convolutions in the layout that {@link conv2d} reads.
 *
 * @module
 */

import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  type MemoryRole,
  type Tensor,
  type Texture,
} from "../../engine/mod.ts";
import { packedIndex, packedLayout } from "../linear/packed_layout.ts";
import type { FloatType } from "../linear/weight_types.ts";
import { divideLines } from "../shared/divide.ts";
import { usesTexture } from "../shared/textures.ts";
import source from "./pack_conv.wgsl" with { type: "text" };

const kernel = defineKernel("pack_conv", source, ["w", "packed"], [
  "C",
  "N",
  "taps",
  "source_taps",
  "columns",
  "across",
  "down",
]);

/** Invocations of a workgroup. */
const WG = 64;

/** The weight and bias of a convolution, packed for {@link conv2d}. */
export interface Conv {
  /** [size² · ⌈C/4⌉·4, ⌈N/4⌉·4], with zeros where C and N were padded; on software adapters strips in a texture. */
  readonly weight: Tensor | Texture;
  /** Storage type of the weight. */
  readonly dtype: FloatType;
  /** [⌈N/4⌉·4] f32, or null. */
  readonly bias: Tensor | null;
  /** Input channels. */
  readonly C: number;
  /** Output channels. */
  readonly N: number;
  /** Extent of the kernel along both axes. */
  readonly size: number;
}

/**
 * Packs a weight [N, C, size, size] f32 (`torch.nn.Conv2d`) into the layout {@link conv2d} reads, as `dtype`.
 * The result owns `bias` ([N] f32) and a copy of the weight; the given weight may be disposed afterwards.
 * `texture` chooses between conv2d.wgsl and matmul_texture.wgsl; the default is what is fast on this adapter. A weight
 * that no texture can hold stays a tensor.
 *
 * @throws {KernelError} `bad-shape`: the weight is not a square kernel of odd size, or the bias is not [N].
 */
export function packConv(
  device: Device,
  weight: Tensor,
  bias: Tensor,
  dtype: FloatType = "f32",
  label: string = "convolution weight",
  texture: boolean = usesTexture(device),
): Conv {
  const { N, C, size } = checkWeight(weight, bias);
  const { packed, lanes } = pack(
    device,
    { weight, N, C, size, dtype, texture, use: "forward" },
    label,
    "weights",
  );
  const packedWeight = lanes ? device.texture(packed, undefined, label, "weights") : packed;
  if (lanes) packed.dispose();
  return { weight: packedWeight, dtype, bias, C, N, size };
}

/**
 * What a weight is packed for. `forward`: the convolution. `backward`: its gradient by the input, a convolution by the
 * flipped kernel from N to C channels. `backward upsampled`: the same where it reads its input as if twice as high and
 * wide, by a kernel of 4 × 4, whose taps are sums of those that meet the same pixel, at stride 2. `products`: the
 * gradient by what each tap reads, a 1 × 1 kernel from N to size² · C channels, tap by tap.
 */
export type ConvUse = "forward" | "backward" | "backward upsampled" | "products";

/** Options of {@link stageConv}. */
export interface StageConvOptions {
  /** [N] f32; none if absent. It stays the caller's. */
  readonly bias?: Tensor;
  /** Storage type of the packed weight; f32 if absent. */
  readonly dtype?: FloatType;
  /** `forward` if absent. */
  readonly use?: ConvUse;
  /** As in {@link packConv}. */
  readonly texture?: boolean;
}

/**
 * Packs a weight that changes with every step of training, [N, C, size, size] f32, into pooled memory. The caller
 * disposes the result after the convolutions have been recorded.
 *
 * @throws {KernelError} `bad-shape`: as {@link packConv}.
 */
export function stageConv(
  device: Device,
  weight: Tensor,
  options: StageConvOptions = {},
): Conv & Disposable {
  const { bias = null, dtype = "f32", use = "forward", texture = usesTexture(device) } = options;
  const { N, C, size } = checkWeight(weight, bias);
  const sizes = {
    "forward": { C, N, size },
    "backward": { C: N, N: C, size },
    "backward upsampled": { C: N, N: C, size: size + 1 },
    "products": { C: N, N: size * size * C, size: 1 },
  }[use];
  const packing = { ...sizes, weight, dtype, texture, use };
  return device.allOrNothing(() => {
    const { packed, lanes } = pack(device, packing, "packed weight", "workspace");
    const staged = lanes ? device.stage(packed, "packed weight") : packed;
    if (lanes) packed.dispose();
    return { ...sizes, weight: staged, dtype, bias, [Symbol.dispose]: () => staged.dispose() };
  });
}

function checkWeight(weight: Tensor, bias: Tensor | null) {
  const [N = 0, C = 0, size = 0, width = 0] = weight.shape;
  if (
    weight.shape.length !== 4 || size !== width || size % 2 === 0 ||
    (bias !== null && bias.elements !== N)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot pack [${weight.shape}]${bias ? ` and bias [${bias.shape}]` : ""} as a convolution`,
    );
  }
  return { N, C, size };
}

/** WGSL by use: the weight of a tap from channel c to channel n of the convolution that is packed. */
const WEIGHT: Readonly<Record<ConvUse, string>> = {
  "forward": `fn weight(n: u32, c: u32, tap: u32) -> f32 {
  return w[(n * params.C + c) * params.taps + tap];
}`,
  "backward": `fn weight(n: u32, c: u32, tap: u32) -> f32 {
  return w[(c * params.N + n + 1) * params.taps - 1 - tap];
}`,
  // along an axis, tap t meets taps 2 − t and 3 − t of the kernel, if there are any
  "backward upsampled": `fn weight(n: u32, c: u32, tap: u32) -> f32 {
  let t = vec2(tap / 4, tap % 4);
  let first = 2 - min(t, vec2(2u));
  let last = min(3 - t, vec2(2u));
  var sum = 0.0;
  for (var y = first.x; y <= last.x; y++) {
    for (var x = first.y; x <= last.y; x++) { sum += w[(c * params.N + n) * 9 + 3 * y + x]; }
  }
  return sum;
}`,
  "products": `fn weight(n: u32, c: u32, tap: u32) -> f32 {
  let C = params.N / params.source_taps;
  let source = divide(n, C);
  return w[(c * C + n - source * C) * params.source_taps + source];
}`,
};

/** A weight to pack, and the convolution it is packed for. */
interface Packing {
  readonly weight: Tensor;
  readonly N: number;
  readonly C: number;
  readonly size: number;
  readonly dtype: FloatType;
  readonly texture: boolean;
  readonly use: ConvUse;
}

/** Packs a weight; `lanes` is the width of strips for a texture, or 0. */
function pack(
  device: Device,
  packing: Packing,
  label: string,
  role: MemoryRole,
): { packed: Tensor; lanes: number } {
  const { weight, N, C, size, dtype, texture, use } = packing;
  const taps = size * size;
  const { lanes, across, rows, pitch, vectors } = packedLayout(
    device,
    taps * Math.ceil(C / 4) * 4,
    Math.ceil(N / 4),
    texture,
  );
  const packed = device.tensor(
    dtype,
    [vectors * 4],
    label,
    role,
  );
  device.run(kernel, {
    specialise: { W: dtype, WG },
    functions: `${divideLines(device, rows * across)}\n${packedIndex(lanes)}\n${WEIGHT[use]}`,
    bind: { w: weight, packed },
    params: { C, N, taps, source_taps: weight.shape[2]! ** 2, columns: pitch, across, down: rows },
    workgroups: grid(Math.ceil(rows * across / WG)),
  });
  return { packed, lanes };
}
