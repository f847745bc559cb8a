import { type Device, TEXTURE_WIDTH } from "../../engine/mod.ts";

/** How a packed weight lies in memory. */
export interface PackedLayout {
  /** Width of the strips of a texture in vec4s, or 0 for the rows of a buffer; see {@link packedIndex}. */
  readonly lanes: number;
  /** Vec4s of n, padded to whole strips. */
  readonly across: number;
  /** k, padded to what a step of matmul_texture.wgsl takes, or to a multiple of `multiple`. */
  readonly depth: number;
  /** Rows of vec4s that hold them. */
  readonly rows: number;
  /** `params.columns` of {@link packedIndex}: vec4s of a row, or rows of a strip. */
  readonly pitch: number;
  /** All vec4s, including those that fill up the last line of a texture. */
  readonly vectors: number;
}

/**
 * The layout of K × 4 · `columns` weights with `rowsPerElement` rows of k in a row of vec4s. A weight that no texture
 * can hold goes to a buffer.
 */
export function packedLayout(
  device: Device,
  K: number,
  columns: number,
  texture: boolean,
  multiple: number = 4,
  rowsPerElement: number = 1,
): PackedLayout {
  const lanes = texture ? device.capabilities.subgroupSize : 0;
  const across = lanes ? Math.ceil(columns / lanes) * lanes : columns;
  const step = Math.max(4 * lanes, multiple);
  const depth = Math.ceil(K / step) * step;
  const rows = depth / rowsPerElement;
  if (!lanes) return { lanes, across, depth, rows, pitch: columns, vectors: across * rows };
  const lines = Math.ceil(across * rows / TEXTURE_WIDTH);
  if (lines > device.gpu.limits.maxTextureDimension2D) {
    return packedLayout(device, K, columns, false, multiple, rowsPerElement);
  }
  return { lanes, across, depth, rows, pitch: rows, vectors: lines * TEXTURE_WIDTH };
}

/**
 * WGSL `packed_index(k, n)`: where vec4 `n` of row `k` of a packed weight goes, in rows (`lanes` is 0) or in strips of
 * `lanes` vec4s.
 */
export function packedIndex(lanes: number): string {
  const index = lanes
    ? `(n / ${lanes} * params.columns + k) * ${lanes} + n % ${lanes}`
    : "k * params.columns + n";
  return `fn packed_index(k: u32, n: u32) -> u32 { return ${index}; }`;
}
