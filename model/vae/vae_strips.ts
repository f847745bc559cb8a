/**
 * A pass of the VAE in strips of rows: two activations and a strip in memory in place of four activations.
 *
 * @module
 */

import type { Device, Tensor } from "../../engine/mod.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import type { Conv } from "../../kernels/conv/conv2d_weight.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import { RESAMPLE, type Resampling } from "./resampling.ts";
import { alignedRows, bandsOf, type BlockSize, stripRows, stripSizes } from "./vae_memory.ts";

/** Some rows of an activation, in one of its bands. */
interface Part {
  /** The band [B, rows, W, C]. */
  readonly tensor: Tensor;
  /** Row of the image where the band begins. */
  readonly top: number;
  /** First of the rows. */
  readonly first: number;
  /** Number of rows. */
  readonly count: number;
}

/** An activation [B, H, W, C] in bands of rows that kernels can bind; several images are one band. */
export class Bands {
  /** `rows` are those of each band but the last, which may have fewer. */
  constructor(
    /** Shape of the whole. */
    readonly shape: readonly [B: number, H: number, W: number, C: number],
    /** The bands from top to bottom. */
    readonly tensors: readonly Tensor[],
    private readonly rows: number,
  ) {}

  /** A tensor [B, H, W, C] as one band. */
  static whole(tensor: Tensor): Bands {
    const [B = 0, H = 0, W = 0, C = 0] = tensor.shape;
    return new Bands([B, H, W, C], [tensor], H);
  }

  /** The parts of `count` rows from `begin` on that lie in each band. */
  parts(begin: number, count: number): Part[] {
    return this.tensors.flatMap((tensor, i) => {
      const top = i * this.rows;
      const first = Math.max(begin, top);
      const end = Math.min(begin + count, top + tensor.shape[1]!);
      return first < end ? [{ tensor, top, first, count: end - first }] : [];
    });
  }
}

/**
 * All memory of a pass. Each layer's tensors are views of it, so the pool does not fill up with buffers of many sizes.
 */
export class StripMemory {
  #x: readonly Tensor[];
  #hidden: readonly Tensor[];
  #strip: Tensor;
  #wide: Tensor;
  #stripBytes: number;
  #rowsPerStrip: number | undefined;

  /**
   * Allocates memory for codes [B, h, w]: f32 for the current activation, `dtype` for a residual block's hidden one and
   * the strip of `rowsPerStrip` rows, or as many as are worth a dispatch. No binding exceeds `limit` bytes.
   */
  constructor(
    /** The device that holds the memory. */
    readonly device: Device,
    blocks: readonly BlockSize[],
    codes: readonly number[],
    private readonly dtype: FloatType,
    limit: number,
    rowsPerStrip?: number,
  ) {
    const bands = bandsOf(blocks, codes, limit);
    const sizes = stripSizes(blocks, codes, bands, dtype, limit, rowsPerStrip);
    const many = (dtype: FloatType, size: number) =>
      Array.from({ length: bands }, () => device.tensor(dtype, [size], "VAE activations"));
    this.#x = many("f32", sizes.x);
    this.#hidden = many(dtype, sizes.hidden);
    this.#strip = device.tensor(dtype, [sizes.strip], "VAE strip");
    this.#wide = dtype === "f32" ? this.#strip : device.tensor("f32", [sizes.wide], "VAE strip");
    this.#stripBytes = limit;
    this.#rowsPerStrip = rowsPerStrip;
  }

  /** The current activation in f32; every shape is a view of the same memory. */
  x(shape: Bands["shape"]): Bands {
    return this.#bands(this.#x, shape);
  }

  /** The hidden activation of a residual block. */
  hidden(shape: Bands["shape"]): Bands {
    return this.#bands(this.#hidden, shape);
  }

  #bands(memory: readonly Tensor[], shape: Bands["shape"]): Bands {
    const [B, H, W, C] = shape;
    const rows = Math.ceil(H / memory.length);
    const tensors = memory.slice(0, Math.ceil(H / rows))
      .map((tensor, i) => view(tensor, [B, Math.min(rows, H - i * rows), W, C]));
    return new Bands(shape, tensors, rows);
  }

  /** A strip of rows [1, rows, W, C]. */
  strip(shape: readonly number[]): Tensor {
    return view(this.#strip, shape);
  }

  /** A strip in f32 of {@link StripMemory.alignedRows} rows; without f16 in the same memory. */
  wide(shape: readonly number[]): Tensor {
    return view(this.#wide, shape);
  }

  /** Rows that a strip of an image of this width produces. */
  rows(W: number, C: number): number {
    return stripRows(W, C, this.dtype, this.#stripBytes, this.#rowsPerStrip);
  }

  /** Rows of a strip in f32 that can be bound inside an activation. */
  alignedRows(W: number, C: number): number {
    return alignedRows(W, C, this.#stripBytes, this.#rowsPerStrip);
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    for (const tensor of [...this.#x, ...this.#hidden, this.#strip]) tensor.dispose();
    if (this.#wide !== this.#strip) this.#wide.dispose();
  }
}

function view(memory: Tensor, shape: readonly number[]): Tensor {
  return memory.rows(0, shape.reduce((product, n) => product * n, 1)).reshape(...shape);
}

/** Convolves whole images to the current activation. */
export function convolveToBands(device: Device, conv: Conv, x: Tensor, y: Bands): void {
  if (y.tensors.length === 1) return conv2d(device, { x, conv, y: y.tensors[0]! });
  for (const { tensor, top, first, count } of y.parts(0, y.shape[1])) {
    const strip = { image: 0, begin: 0, first, count, top, height: y.shape[1] };
    conv2d(device, { x, conv, y: tensor, strip });
  }
}

/** Doubles or halves the current activation of `memory`; the result takes its place. */
export function resampleInStrips(
  memory: StripMemory,
  conv: Conv,
  x: Bands,
  resample: Resampling,
): Bands {
  const { device } = memory;
  const [B, H, W, C] = x.shape;
  const { scale, how, reads } = RESAMPLE[resample];
  const copy = memory.hidden(x.shape);
  x.tensors.forEach((band, i) => {
    const rows = band.elements / C;
    copyRows(device, {
      x: band.reshape(1, rows, C),
      y: copy.tensors[i]!.reshape(1, rows, C),
      rows,
    });
  });
  const height = Math.floor(H * scale);
  const y = memory.x([B, height, Math.floor(W * scale), conv.N]);
  const [whole, another] = copy.tensors;
  if (!another) {
    conv2d(device, { x: whole!, conv, y: y.tensors[0]!, ...how });
    return y;
  }
  const rows = Math.max(1, Math.floor(memory.rows(W, C) * scale));
  for (const band of y.parts(0, height)) {
    for (let first = band.first; first < band.first + band.count; first += rows) {
      const count = Math.min(rows, band.first + band.count - first);
      const [low, high] = reads(first, first + count) as [number, number];
      const begin = Math.max(0, low), end = Math.min(H, high);
      const strip = memory.strip([1, end - begin, W, C]);
      for (const part of copy.parts(begin, end - begin)) {
        const from = part.tensor.reshape(part.tensor.shape[1]!, W * C)
          .rows(part.first - part.top, part.count);
        device.copy(from, strip, (part.first - begin) * (strip.byteLength / (end - begin)));
      }
      const { top } = band;
      conv2d(device, {
        x: strip,
        conv,
        y: band.tensor,
        strip: { image: 0, begin, first, count, top, height },
        ...how,
      });
    }
  }
  return y;
}

/** Replaces the current activation by its 1 × 1 convolution, strip by strip. */
export function convolveInPlace(memory: StripMemory, conv: Conv, x: Bands): Bands {
  const { device } = memory;
  const [B, H, W, C] = x.shape;
  const { N } = conv;
  const y = memory.x([B, H, W, N]);
  const rows = memory.alignedRows(W, N);
  x.tensors.forEach((band, i) => {
    const count = band.elements / W / C;
    const from = band.reshape(count, 1, W, C);
    const to = y.tensors[i]!.reshape(count, 1, W, N);
    const starts = Array.from({ length: Math.ceil(count / rows) }, (_, i) => i * rows);
    // results wider than their inputs are written from the end, so that no input is overwritten before it is read
    if (N > C) starts.reverse();
    for (const start of starts) {
      const some = Math.min(rows, count - start);
      const strip = memory.wide([some, 1, W, N]);
      conv2d(device, { x: from.rows(start, some), conv, y: strip });
      copyRows(device, {
        x: strip.reshape(1, some * W, N),
        y: to.rows(start, some).reshape(1, some * W, N),
        rows: some * W,
      });
    }
  });
  return y;
}
