/**
 * How much of a batch of images the VAE takes on at once, and the memory of a pass in strips.
 *
 * @module
 */

import type { Device, Tensor } from "../../engine/mod.ts";
import type { VaeConfig } from "../config/types.ts";

/** Bytes of activations beyond which a batch goes through in parts: a GPU is full by then. */
const PASS_BYTES = 512 * 1024 * 1024;

/** Bytes of one image's largest activation beyond which it goes through in strips. */
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

/** Whether level `i`, counted from full resolution, begins (encoder: ends) at half the resolution. */
export function doubles({ patch_size }: VaeConfig, i: number): boolean {
  return i >= 1 && i <= Math.log2(patch_size);
}

/** The decoder's residual blocks in order, as far as their sizes differ. */
export function decoderBlocks(config: VaeConfig): BlockSize[] {
  const { base_ch, decoder_ch_mult, num_res_blocks } = config;
  let C = base_ch * decoder_ch_mult.at(-1)!;
  const list: BlockSize[] = [{ scale: 1, C, N: C }]; // those of the middle are alike
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

/** The encoder's residual blocks in order, as far as their sizes differ. */
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
  list.push({ scale, C, N: C }); // those of the middle are alike
  return list;
}

/** Bytes of the largest activation of one image of h × w codes. */
function largestActivation(blocks: readonly BlockSize[], h: number, w: number): number {
  const sizes = blocks.map(({ scale, C, N }) => scale ** 2 * Math.max(C, N));
  return Math.max(...sizes) * h * w * 4;
}

/** How many images of h × w codes go through at once: so many that an activation fits {@link PASS_BYTES} and `limit`. */
export function imagesPerPass(
  blocks: readonly BlockSize[],
  h: number,
  w: number,
  limit: number,
): number {
  const bytes = largestActivation(blocks, h, w);
  return Math.max(1, Math.floor(Math.min(PASS_BYTES, limit) / bytes));
}

/** Whether an image of h × w codes is so large that it goes through in strips. */
export function needsStrips(blocks: readonly BlockSize[], h: number, w: number): boolean {
  return largestActivation(blocks, h, w) > WHOLE_BYTES;
}

/** Elements of the three tensors of {@link StripMemory}. */
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

/** Rows that a strip makes; what it reads is one row more on either side. */
function stripRows(W: number, C: number, rowsPerStrip: number | undefined): number {
  return rowsPerStrip ?? Math.max(1, Math.floor(STRIP_BYTES / (W * C * 4)) - 2);
}

/** Rows of a strip that is bound as it lies: 16 rows of whole vec4s are a multiple of any adapter's alignment. */
function alignedRows(W: number, C: number, rowsPerStrip: number | undefined): number {
  return Math.max(1, Math.floor(stripRows(W, C, rowsPerStrip) / 16)) * 16;
}

/**
 * All memory of a pass in strips: two whole activations, the current one and a residual block's hidden one, and a
 * strip of rows. Every layer's tensors are views of these, so nothing is left behind for reuse in sizes of its own.
 */
export class StripMemory {
  #x: Tensor;
  #hidden: Tensor;
  #strip: Tensor;
  #rowsPerStrip: number | undefined;

  /** Memory for codes of [B, h, w] to or from images, in strips of so many rows or of {@link STRIP_BYTES}. */
  constructor(
    /** Where the memory is. */
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

  /** The current activation. Another shape is another view of the same memory. */
  x(shape: readonly number[]): Tensor {
    return view(this.#x, shape);
  }

  /** A whole activation besides the current one. */
  hidden(shape: readonly number[]): Tensor {
    return view(this.#hidden, shape);
  }

  /** Some rows [1, rows, W, C]. */
  strip(shape: readonly number[]): Tensor {
    return view(this.#strip, shape);
  }

  /** Rows that a strip of an image of this width makes. */
  rows(W: number, C: number): number {
    return stripRows(W, C, this.#rowsPerStrip);
  }

  /** Rows of a strip that can be bound where it lies in an activation: a multiple of 16. */
  alignedRows(W: number, C: number): number {
    return alignedRows(W, C, this.#rowsPerStrip);
  }

  /** Gives the memory back. */
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
