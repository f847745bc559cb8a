/** Resizes rows of bytes as they come: keeps only the rows of the result that are not complete yet. */

/** A resampling filter: weighs pixels by their distance, in pixels of the smaller image. */
export interface Filter {
  /** The distance at which it becomes 0. */
  readonly support: number;
  weigh(distance: number): number;
}

/** The part of a resized axis that is kept: `size` pixels from `offset`, of `full`. */
export interface Crop {
  readonly full: number;
  readonly offset: number;
  readonly size: number;
}

/** For each output pixel: its input pixels and their weights, which add up to `ONE`. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, stride] */
  readonly weights: Int32Array;
  readonly stride: number;
}

// Weights are integers, as Pillow stores them; sums of bytes fit 32 bits, as no filter's |weights| reach 2 × ONE.
const BITS = 22;
const [ONE, HALF] = [2 ** BITS, 2 ** (BITS - 1)];

/** Resizes an image across, then down, rounding to bytes each time; computes the cropped part only. */
export class Resizer {
  /** [height, width, channels]: what `table` makes of each byte. Complete after the last row. */
  readonly result: Float32Array<ArrayBuffer>;
  /** The input columns [left, right) that matter. */
  readonly columns: readonly [left: number, right: number];
  #across: Taps;
  #down: Taps;
  #narrowed: Uint8Array;
  /** One line of sums for each row of the result that is begun and not complete. */
  #sums: Int32Array[];
  #row = 0;
  #begun = 0;
  #complete = 0;

  /**
   * Prepares for rows of one image.
   *
   * @param size The input's pixels across and down.
   * @param x Which part of the result across.
   * @param y Which part down.
   * @param filter How to weigh.
   * @param channels 1, or 3: red, green and blue, each pixel followed by one byte that is ignored.
   * @param table What each byte of the result stands for.
   */
  constructor(
    size: readonly [width: number, height: number],
    x: Crop,
    y: Crop,
    filter: Filter,
    private readonly channels: 1 | 3,
    private readonly table: Float32Array,
  ) {
    this.#across = taps(size[0], x, filter);
    this.#down = taps(size[1], y, filter);
    const { first, count } = this.#across;
    this.columns = [first[0], first[x.size - 1] + count[x.size - 1]];
    this.#narrowed = new Uint8Array(x.size * channels);
    this.#sums = Array.from(
      { length: overlap(this.#down) },
      () => new Int32Array(x.size * channels),
    );
    this.result = new Float32Array(y.size * x.size * channels);
  }

  /** Whether the next row affects the result. */
  get needed(): boolean {
    return this.#complete < this.#down.first.length && this.#row >= this.#down.first[0];
  }

  /** Skips a row that is not needed. */
  skip(): void {
    this.#row++;
  }

  /** Takes the next row: its `columns` begin at `line[at]`. */
  add(line: Uint8Array, at: number): void {
    if (this.channels === 1) narrow(this.#across, line, at - this.columns[0], this.#narrowed);
    else narrowColours(this.#across, line, at - 4 * this.columns[0], this.#narrowed);
    const { first, count, weights, stride } = this.#down;
    while (this.#begun < first.length && first[this.#begun] <= this.#row) {
      this.#sumsOf(this.#begun++).fill(HALF);
    }
    for (let j = this.#complete; j < this.#begun; j++) {
      const tap = this.#row - first[j];
      addWeighted(this.#sumsOf(j), weights[j * stride + tap], this.#narrowed);
      if (tap === count[j] - 1) this.#finish(this.#complete++);
    }
    this.#row++;
  }

  #sumsOf(j: number): Int32Array {
    return this.#sums[j % this.#sums.length];
  }

  #finish(j: number): void {
    const sums = this.#sumsOf(j);
    const { result, table } = this;
    for (let i = 0, to = j * sums.length; i < sums.length; i++) {
      result[to++] = table[toByte(sums[i])];
    }
  }
}

function narrow(
  { first, count, weights, stride }: Taps,
  line: Uint8Array,
  at: number,
  out: Uint8Array,
): void {
  for (let i = 0; i < out.length; i++) {
    let sum = HALF;
    const [from, end] = [i * stride, i * stride + count[i]];
    for (let k = from, p = at + first[i]; k < end; k++, p++) {
      sum = sum + Math.imul(weights[k], line[p]) | 0;
    }
    out[i] = toByte(sum);
  }
}

function narrowColours(
  { first, count, weights, stride }: Taps,
  line: Uint8Array,
  at: number,
  out: Uint8Array,
): void {
  for (let i = 0, to = 0; i < first.length; i++) {
    let [red, green, blue] = [HALF, HALF, HALF];
    const [from, end] = [i * stride, i * stride + count[i]];
    for (let k = from, p = at + 4 * first[i]; k < end; k++, p += 4) {
      const weight = weights[k];
      red = red + Math.imul(weight, line[p]) | 0;
      green = green + Math.imul(weight, line[p + 1]) | 0;
      blue = blue + Math.imul(weight, line[p + 2]) | 0;
    }
    out[to++] = toByte(red);
    out[to++] = toByte(green);
    out[to++] = toByte(blue);
  }
}

function addWeighted(sums: Int32Array, weight: number, line: Uint8Array): void {
  if (weight === 0) return;
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i] + Math.imul(weight, line[i]);
}

/** Computes the weights for a crop of an axis that is resized from `size` to `full` pixels. */
function taps(size: number, { full, offset, size: kept }: Crop, filter: Filter): Taps {
  const scale = size / full;
  const shrink = Math.max(scale, 1);
  const reach = filter.support * shrink;
  const stride = Math.min(size, 2 * Math.ceil(reach) + 1);
  const first = new Int32Array(kept);
  const count = new Int32Array(kept);
  const weights = new Int32Array(kept * stride);
  const own = new Float64Array(stride);
  for (let i = 0; i < kept; i++) {
    const centre = (offset + i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(size, Math.floor(centre + reach + 0.5));
    first[i] = start;
    count[i] = end - start;
    let total = 0;
    for (let k = 0; k < count[i]; k++) {
      own[k] = filter.weigh((start + k + 0.5 - centre) / shrink);
      total += own[k];
    }
    for (let k = 0; k < count[i]; k++) weights[i * stride + k] = Math.round(own[k] / total * ONE);
  }
  return { first, count, weights, stride };
}

/** Returns the largest number of outputs that one input pixel affects. */
function overlap({ first, count }: Taps): number {
  let most = 1;
  for (let last = 0, oldest = 0; last < first.length; last++) {
    while (first[oldest] + count[oldest] <= first[last]) oldest++;
    most = Math.max(most, last - oldest + 1);
  }
  return most;
}

/** Rounds a sum that began at `HALF`. */
function toByte(sum: number): number {
  return Math.min(255, Math.max(0, sum >> BITS));
}
