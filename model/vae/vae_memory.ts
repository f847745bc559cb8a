/**
 * How many images of a batch the VAE processes at once, and the memory of a pass in strips.
 *
 * @module
 */

import { ELEMENT_BYTES } from "../../engine/mod.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import type { VaeConfig } from "../config/types.ts";

/** Bytes per activation above which a batch is split: a GPU is fully used by then. */
const PASS_BYTES = 512 * 1024 * 1024;

/** Bytes of one image's largest activation above which it is processed in strips. */
const WHOLE_BYTES = 256 * 1024 * 1024;

/** Bytes of the rows that a strip produces. */
const STRIP_BYTES = 64 * 1024 * 1024;

/** A residual block: `C` to `N` channels at `scale` times the codes' height and width. */
export interface BlockSize {
  /** Pixels of the activation along each side of a code. */
  readonly scale: number;
  /** Channels in. */
  readonly C: number;
  /** Channels out. */
  readonly N: number;
}

/** Whether level `i`, counted from full resolution, changes the resolution by 2 to the next finer level. */
export function doubles({ patch_size }: VaeConfig, i: number): boolean {
  return i >= 1 && i <= Math.log2(patch_size);
}

/** The decoder's residual blocks in order, leaving out repeated sizes. */
export function decoderBlocks(config: VaeConfig): BlockSize[] {
  const { base_ch, decoder_ch_mult, num_res_blocks } = config;
  let C = base_ch * decoder_ch_mult.at(-1)!;
  const list: BlockSize[] = [{ scale: 1, C, N: C }]; // both blocks of the middle
  let scale = 1;
  for (let i = decoder_ch_mult.length - 1; i >= 0; i--) {
    const N = base_ch * decoder_ch_mult[i]!;
    for (let k = 0; k <= num_res_blocks; k++) {
      list.push({ scale, C, N });
      C = N;
    }
    if (doubles(config, i)) scale *= 2;
  }
  return list;
}

/** The encoder's residual blocks in order, leaving out repeated sizes. */
export function encoderBlocks(config: VaeConfig): BlockSize[] {
  const { base_ch, encoder_ch_mult, num_res_blocks, patch_size } = config;
  let C = base_ch;
  let scale = patch_size;
  const list: BlockSize[] = [];
  for (const [i, mult] of encoder_ch_mult.entries()) {
    for (let k = 0; k < num_res_blocks; k++) {
      list.push({ scale, C, N: base_ch * mult });
      C = base_ch * mult;
    }
    if (doubles(config, i + 1)) scale /= 2;
  }
  list.push({ scale, C, N: C }); // both blocks of the middle
  return list;
}

/** Bytes of the largest activation of one image of h × w codes. */
function largestActivation(blocks: readonly BlockSize[], h: number, w: number): number {
  const sizes = blocks.map(({ scale, C, N }) => scale ** 2 * Math.max(C, N));
  return Math.max(...sizes) * h * w * 4;
}

/** How many images of h × w codes to process at once, so that an activation fits {@link PASS_BYTES} and `limit`. */
export function imagesPerPass(
  blocks: readonly BlockSize[],
  h: number,
  w: number,
  limit: number,
): number {
  const bytes = largestActivation(blocks, h, w);
  return Math.max(1, Math.floor(Math.min(PASS_BYTES, limit) / bytes));
}

/** Whether an image of h × w codes is large enough to be processed in strips, or has to be for bindings of `limit`. */
export function needsStrips(
  blocks: readonly BlockSize[],
  h: number,
  w: number,
  limit: number,
): boolean {
  return largestActivation(blocks, h, w) > Math.min(WHOLE_BYTES, limit);
}

/** Number of elements of each tensor of a pass in strips. */
export interface StripSizes {
  /** A band of the current activation. */
  readonly x: number;
  /** A band of the hidden activation. */
  readonly hidden: number;
  /** A strip. */
  readonly strip: number;
  /** A strip of a 1 × 1 convolution in f32. */
  readonly wide: number;
}

/** In how many bands of rows to keep activations for codes [B, h, w], so that no band in f32 exceeds `limit` bytes. */
export function bandsOf(
  blocks: readonly BlockSize[],
  [B = 0, h = 0, w = 0]: readonly number[],
  limit: number,
): number {
  const fits = (bands: number) =>
    blocks.every(({ scale, C, N }) =>
      4 * B * Math.ceil(h * scale / bands) * w * scale * Math.max(C, N) <= limit
    );
  let bands = 1;
  while (!fits(bands) && B === 1 && bands < h) bands++;
  return bands;
}

/** Returns the sizes of a pass for codes [B, h, w] in `bands` and strips of `rowsPerStrip`. */
export function stripSizes(
  blocks: readonly BlockSize[],
  [B = 0, h = 0, w = 0]: readonly number[],
  bands: number,
  dtype: FloatType,
  limit: number,
  rowsPerStrip: number | undefined,
): StripSizes {
  const size = { x: 0, hidden: 0, strip: 0, wide: 0 };
  const grow = (what: keyof StripSizes, elements: number) => {
    size[what] = Math.max(size[what], elements);
  };
  for (const { scale, C, N } of blocks) {
    const H = h * scale, W = w * scale;
    const band = B * Math.ceil(H / bands) * W;
    grow("x", band * Math.max(C, N));
    grow("hidden", band * N);
    for (const width of [C, N]) {
      const rows = Math.min(H, stripRows(W, width, dtype, limit, rowsPerStrip) + 2);
      grow("strip", rows * W * width);
    }
    if (C === N) continue;
    const rows = Math.min(B * Math.ceil(H / bands), alignedRows(W, N, limit, rowsPerStrip));
    grow(dtype === "f32" ? "strip" : "wide", rows * W * N);
  }
  return size;
}

/** Rows that a strip produces; it reads one more on either side. */
export function stripRows(
  W: number,
  C: number,
  dtype: FloatType,
  limit: number,
  rowsPerStrip: number | undefined,
): number {
  const row = W * C * ELEMENT_BYTES[dtype];
  return rowsPerStrip ??
    Math.max(1, Math.min(Math.floor(STRIP_BYTES / row), Math.floor(limit / row) - 2));
}

/** Rows of a strip in f32 that is bound in place: 16 rows of vec4s are a multiple of any adapter's alignment. */
export function alignedRows(
  W: number,
  C: number,
  limit: number,
  rowsPerStrip: number | undefined,
): number {
  const rows = stripRows(W, C, "f32", limit, rowsPerStrip);
  return Math.max(1, Math.floor(rows / 16)) * 16;
}
