/** Plain functions over images [images, size, size, 3] from −1 to 1. */

/** Several images of one size. */
export interface Images {
  /** [images, size, size, 3], red, green and blue from −1 to 1. */
  readonly values: Float32Array;
  /** Pixels across and down. */
  readonly size: number;
}

/** How many images there are. */
export function imageCount({ values, size }: Images): number {
  return values.length / (size * size * 3);
}

/**
 * Averages squares of pixels.
 *
 * @param side Pixels across and down of the result, of which the size must be a multiple.
 */
export function shrink(images: Images, side: number): Images {
  const { values, size } = images;
  const step = size / side;
  const small = new Float32Array(imageCount(images) * side * side * 3);
  for (let i = 0; i < values.length; i += 3) {
    const pixel = i / 3;
    const [x, y] = [pixel % size, Math.floor(pixel / size) % size];
    const image = Math.floor(pixel / size / size);
    const to = 3 * ((image * side + Math.floor(y / step)) * side + Math.floor(x / step));
    for (let c = 0; c < 3; c++) small[to + c]! += values[i + c]! / (step * step);
  }
  return { values: small, size: side };
}

/** A part of an image: columns from `left` to before `right`, rows from `top` to before `bottom`. */
export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Sum of squared differences of two images, each given by its place, over a part of them or all. */
export function squaredDistance(
  a: Images,
  i: number,
  b: Images,
  j: number,
  { left, right, top, bottom }: Area = { left: 0, right: a.size, top: 0, bottom: a.size },
): number {
  const { size } = a;
  const one = size * size * 3;
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    const row = 3 * y * size;
    for (let k = row + 3 * left; k < row + 3 * right; k++) {
      sum += (a.values[i * one + k]! - b.values[j * one + k]!) ** 2;
    }
  }
  return sum;
}

/** Peak signal-to-noise ratio of two images, in dB. */
export function psnrOf(a: Images, i: number, b: Images, j: number): number {
  const mean = squaredDistance(a, i, b, j) / (a.size * a.size * 3);
  return 10 * Math.log10(4 / mean);
}

/** How like images are to their truths. */
export interface Likeness {
  /** Mean PSNR of images and their own truths, in dB. */
  readonly psnr: number;
  /** Share of images to which no other truth is nearer than their own, 0 to 1. */
  readonly nearest: number;
}

/**
 * Compares images with true ones of the same size.
 *
 * @param own For each image the place of its truth.
 */
export function likeness(images: Images, truths: Images, own: readonly number[]): Likeness {
  let [sum, right] = [0, 0];
  own.forEach((truth, i) => {
    const distance = squaredDistance(images, i, truths, truth);
    sum += psnrOf(images, i, truths, truth);
    let nearer = false;
    for (let j = 0; j < imageCount(truths) && !nearer; j++) {
      nearer = squaredDistance(images, i, truths, j) < distance;
    }
    if (!nearer) right++;
  });
  return { psnr: sum / own.length, nearest: right / own.length };
}

/** Mean PSNR of all pairs of images, in dB: the lower, the more they differ. There must be two. */
export function pairwisePsnr(images: Images): number {
  const count = imageCount(images);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) sum += psnrOf(images, i, images, j);
  }
  return sum / (count * (count - 1) / 2);
}
