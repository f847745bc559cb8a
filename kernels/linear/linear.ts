import {
  defineKernel,
  type Device,
  ELEMENT_BYTES,
  grid,
  KernelError,
  memoised,
  type MemoryRole,
  type Tensor,
  TEXEL_BYTES,
  type Texture,
} from "../../engine/mod.ts";
import { usesTexture } from "../shared/textures.ts";
import { packedIndex, packedLayout } from "./packed_layout.ts";
import { moveBlocks } from "./transpose.ts";
import { QUANTISED_BLOCK, WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import quantisedSource from "./pack_quantised.wgsl" with { type: "text" };

const quantisedKernel = defineKernel(
  "pack_quantised",
  quantisedSource,
  ["w", "packed", "scales"],
  ["K", "N", "columns", "first", "across", "down", "scale_columns"],
);

/** WGSL `store` of transpose.ts for a packed weight. */
const storePacked = memoised((lanes: number): string =>
  `${packedIndex(lanes)}
fn store(r: u32, c: u32, v: vec4<f32>) { y[packed_index(r, c)] = narrow(v); }`
);

/** A linear layer's weight and bias, packed once for {@link matmul}. */
export interface Linear {
  /**
   * Rows of K by columns of 4 n, padded with zeros to whole blocks and vec4s: a tensor, or on software adapters a
   * texture of strips of columns, each as wide as a subgroup, one after the other.
   */
  readonly weight: Tensor | Texture;
  /** Storage type of the weight. */
  readonly dtype: WeightType;
  /** Quantised weights: four f16 for each block and 4 n, as [⌈K/32⌉, 2·⌈N/4⌉] u32. Null otherwise. */
  readonly scales: Tensor | null;
  /** [⌈N/4⌉·4] f32, or null. */
  readonly bias: Tensor | null;
  /** Input width. */
  readonly K: number;
  /** Output width. */
  readonly N: number;
}

/** How {@link packParts} packs. */
export interface Packing {
  /** Whether the parts are [Nᵢ, K], stacked along N, instead of [Kᵢ, N], stacked along K. */
  readonly transposed: boolean;
  /** Storage type; quantised weights are transposed. */
  readonly dtype: WeightType;
  /** Factor of a weight that is not quantised. */
  readonly scale: number;
  /** Whether it is for a texture, if one can hold it. */
  readonly texture: boolean;
  /** Name of the memory. */
  readonly label: string;
  /** What the memory is for. */
  readonly role: MemoryRole;
}

/** What {@link packParts} packed. */
export interface Packed extends Pick<Linear, "scales" | "K" | "N"> {
  /** The weight in the layout of a tensor or of a texture. */
  readonly packed: Tensor;
  /** Whether the layout is a texture's. */
  readonly texture: boolean;
}

/**
 * Packs stacked parts of a weight into the layout that {@link matmul} reads.
 *
 * @throws {KernelError} `bad-shape`: the parts do not stack.
 */
export function packParts(device: Device, parts: readonly Tensor[], how: Packing): Packed {
  const { transposed, dtype, label, role } = how;
  const width = parts[0]!.shape[1]!;
  const stacked = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const [K, N] = transposed ? [width, stacked] : [stacked, width];
  const columns = Math.ceil(N / 4);
  const format = WEIGHT_FORMATS[dtype];
  const { quantisation } = format;
  const multiple = quantisation ? QUANTISED_BLOCK : 4; // of k that an invocation packs
  const { lanes, across, depth, pitch, vectors } = packedLayout(
    device,
    K,
    columns,
    how.texture,
    multiple,
    format.rowsPerElement,
  );
  const elements = vectors * TEXEL_BYTES[format.texel] / ELEMENT_BYTES[format.dtype];
  const packed = device.tensor(format.dtype, [elements], label, role);
  const blocks = Math.ceil(K / QUANTISED_BLOCK);
  const scales = quantisation
    ? device.tensor("u32", [blocks, columns * 2], `${label} scales`, role)
    : null;
  const down = depth / multiple;
  let first = 0;
  for (const x of parts) {
    const rows = x.shape[0]!;
    if (x.shape[1] !== width || first % 4 !== 0) {
      throw new KernelError(
        "bad-shape",
        `Cannot stack [${x.shape}] into a weight of width ${width}`,
      );
    }
    // the last part is padded to the end
    const end = first + rows === stacked
      ? (transposed ? across : down)
      : Math.ceil((first + rows) / 4);
    const own = end - first / 4;
    if (scales && quantisation) {
      const { bits, least, most, extreme, zero } = quantisation;
      device.run(quantisedKernel, {
        specialise: { BITS: bits, LEAST: least, MOST: most, EXTREME: extreme, ZERO: zero },
        functions: packedIndex(lanes),
        bind: { w: x, packed, scales },
        params: { K, N: rows, columns: pitch, first, across: own, down, scale_columns: columns },
        workgroups: grid(Math.ceil(own * down / 64)),
      });
    } else {
      moveBlocks(device, {
        x,
        rows,
        pitch: width,
        first: 0,
        width,
        y: packed,
        transposed,
        ...transposed
          ? { firstRow: 0, firstColumn: first / 4, down, across: own }
          : { firstRow: first / 4, firstColumn: 0, down: own, across },
        columns: pitch,
        scale: how.scale,
        vectors: true,
        store: storePacked(lanes),
      });
    }
    first += rows;
  }
  return { packed, scales, texture: lanes > 0, K, N };
}

/**
 * Packs weights [Nᵢ, K] f32, stacked along N, into the layout {@link matmul} reads, as `dtype`.
 * Every Nᵢ but the last must be divisible by 4. The inputs may be disposed afterwards. `texture` chooses the variant;
 * the default is what is fast on this adapter. A weight that no texture can hold stays a tensor.
 *
 * @throws {KernelError} `bad-shape`: the weights do not stack.
 */
export function packLinear(
  device: Device,
  weights: readonly Tensor[],
  bias: Tensor | null,
  dtype: WeightType = "f32",
  label: string = "linear weight",
  texture: boolean = usesTexture(device),
): Linear {
  const how = { transposed: true, dtype, scale: 1, texture, label, role: "weights" } as const;
  const { packed, scales, K, N, ...layout } = packParts(device, weights, how);
  if (!layout.texture) return { weight: packed, dtype, scales, bias, K, N };
  const weight = device.texture(packed, WEIGHT_FORMATS[dtype].texel, label, "weights");
  packed.dispose();
  return { weight, dtype, scales, bias, K, N };
}
