/**
 * How many images of a batch the VAE processes at once, and the memory of a pass in strips.
 *
 * @module
 */

import type { Device, Tensor } from "../../engine/mod.ts";
import type { VaeConfig } from "../config/types.ts";

/** Bytes per activation above which a batch is split: a GPU is fully used by then. */
const PASS_BYTES = 512 * 1024 * 1024;

/** Bytes of one image's largest activation above which it is processed in strips. */
const WHOLE_BYTES = 256 * 1024 * 1024;

/** Bytes of a strip. */
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

/** Whether an image of h × w codes is large enough to be processed in strips. */
export function needsStrips(blocks: readonly BlockSize[], h: number, w: number): boolean {
  return largestActivation(blocks, h, w) > WHOLE_BYTES;
}

/** Number of elements of the three tensors of {@link StripMemory}. */
function stripSizes(
  blocks: readonly BlockSize[],
  [B = 0, h = 0, w = 0]: readonly number[],
  rowsPerStrip: number | undefined,
): { x: number; hidden: number; strip: number } {
  const size = { x: 0, hidden: 0, strip: 0 };
  for (const { scale, C, N } of blocks) {
    const H = h * scale, W = w * scale;
    size.x = Math.max(size.x, B * H * W * Math.max(C, N));
    size.hidden = Math.max(size.hidden, B * H * W * N);
    for (const width of [C, N]) {
      const rows = Math.min(H, stripRows(W, width, rowsPerStrip) + 2);
      size.strip = Math.max(size.strip, rows * W * width);
    }
    if (C === N) continue;
    size.strip = Math.max(size.strip, Math.min(B * H, alignedRows(W, N, rowsPerStrip)) * W * N);
  }
  return size;
}

/** Rows that a strip produces; it reads one more on either side. */
function stripRows(W: number, C: number, rowsPerStrip: number | undefined): number {
  return rowsPerStrip ?? Math.max(1, Math.floor(STRIP_BYTES / (W * C * 4)) - 2);
}

/** Rows of a strip that is bound in place: 16 rows of vec4s are a multiple of any adapter's alignment. */
function alignedRows(W: number, C: number, rowsPerStrip: number | undefined): number {
  return Math.max(1, Math.floor(stripRows(W, C, rowsPerStrip) / 16)) * 16;
}

/**
 * All memory of a pass in strips: two activations, the current one and a residual block's hidden one, and a strip of
 * rows. Every layer's tensors are views of these, so the pool does not fill up with buffers of many sizes.
 */
export class StripMemory {
  #x: Tensor;
  #hidden: Tensor;
  #strip: Tensor;
  #rowsPerStrip: number | undefined;

  /** Allocates memory for codes [B, h, w], in strips of `rowsPerStrip` rows or else of {@link STRIP_BYTES}. */
  constructor(
    /** The device that holds the memory. */
    readonly device: Device,
    blocks: readonly BlockSize[],
    codes: readonly number[],
    rowsPerStrip?: number,
  ) {
    const { x, hidden, strip } = stripSizes(blocks, codes, rowsPerStrip);
    this.#x = device.tensor("f32", [x], "VAE activations");
    this.#hidden = device.tensor("f32", [hidden], "VAE activations");
    this.#strip = device.tensor("f32", [strip], "VAE strip");
    this.#rowsPerStrip = rowsPerStrip;
  }

  /** The current activation; every shape is a view of the same memory. */
  x(shape: readonly number[]): Tensor {
    return view(this.#x, shape);
  }

  /** The hidden activation of a residual block. */
  hidden(shape: readonly number[]): Tensor {
    return view(this.#hidden, shape);
  }

  /** A strip of rows [1, rows, W, C]. */
  strip(shape: readonly number[]): Tensor {
    return view(this.#strip, shape);
  }

  /** Rows that a strip of an image of this width produces. */
  rows(W: number, C: number): number {
    return stripRows(W, C, this.#rowsPerStrip);
  }

  /** Rows of a strip that can be bound inside an activation: a multiple of 16. */
  alignedRows(W: number, C: number): number {
    return alignedRows(W, C, this.#rowsPerStrip);
  }

  /** Frees the memory. */
  dispose(): void {
    for (const tensor of [this.#x, this.#hidden, this.#strip]) tensor.dispose();
  }

  /** {@link StripMemory.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function view(memory: Tensor, shape: readonly number[]): Tensor {
  return memory.rows(0, shape.reduce((product, n) => product * n, 1)).reshape(...shape);
}
