/** Images on the CPU in double precision, which the tests of resizing kernels compare with. */

/** Values of [B, H, W, C], channels last. */
export interface Image {
  shape: number[];
  data: Float64Array;
}

/** Makes an image whose values are `value(b, row, col, c)`. */
export function image(
  shape: number[],
  value: (b: number, row: number, col: number, c: number) => number,
): Image {
  const [B, H, W, C] = shape as [number, number, number, number];
  const data = Float64Array.from({ length: B * H * W * C }, (_, i) => {
    const c = i % C, col = Math.floor(i / C) % W, row = Math.floor(i / C / W) % H;
    return value(Math.floor(i / C / W / H), row, col, c);
  });
  return { shape, data };
}

/** The value of an image at a pixel and channel. */
export function at({ shape, data }: Image, b: number, row: number, col: number, c: number): number {
  const [, H, W, C] = shape as [number, number, number, number];
  return data[((b * H + row) * W + col) * C + c]!;
}

/** Turns [B, C, H, W] into channels last. */
export function channelsLast(
  { shape, data }: { shape: readonly number[]; data: ArrayLike<number> },
): Image {
  const [B, C, H, W] = shape as [number, number, number, number];
  return image([B, H, W, C], (b, row, col, c) => data[((b * C + c) * H + row) * W + col]!);
}

/** Resizes to h × w, as torch.nn.functional.interpolate defines it. */
export function resize(mode: "area" | "linear", x: Image, h: number, w: number): Image {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const weights = mode === "area" ? areaWeights : linearWeights;
  const rows = weights(H, h), cols = weights(W, w);
  return image([B, h, w, C], (b, row, col, c) => {
    let sum = 0;
    for (const [r, wr] of rows[row]!) {
      for (const [q, wq] of cols[col]!) sum += wr * wq * at(x, b, r, q, c);
    }
    return sum;
  });
}

/** The transpose of {@link resize}: the gradient by an image of H × W. */
export function resizeBackward(mode: "area" | "linear", dy: Image, H: number, W: number): Image {
  const [B, h, w, C] = dy.shape as [number, number, number, number];
  const weights = mode === "area" ? areaWeights : linearWeights;
  const rows = weights(H, h), cols = weights(W, w);
  const data = new Float64Array(B * H * W * C);
  image(dy.shape, (b, row, col, c) => {
    for (const [r, wr] of rows[row]!) {
      for (const [q, wq] of cols[col]!) {
        data[((b * H + r) * W + q) * C + c]! += wr * wq * at(dy, b, row, col, c);
      }
    }
    return 0;
  });
  return { shape: [B, H, W, C], data };
}

/** For each of `size` cells, the indices and weights of the cells, out of `from`, that make it. */
type Weights = (from: number, size: number) => [number, number][][];

const areaWeights: Weights = (from, size) =>
  Array.from({ length: size }, (_, i) => {
    const begin = Math.floor(i * from / size), end = Math.ceil((i + 1) * from / size);
    return Array.from({ length: end - begin }, (_, k) => [begin + k, 1 / (end - begin)]);
  });

const linearWeights: Weights = (from, size) =>
  Array.from({ length: size }, (_, i) => {
    const position = Math.max(0, (i + 0.5) * from / size - 0.5);
    const low = Math.floor(position);
    return [[low, 1 - position + low], [Math.min(low + 1, from - 1), position - low]];
  });

/** pixel_unshuffle by 2: [B, 2h, 2w, C] to [B, h, w, 4·C]. */
export function unshuffle(x: Image): Image {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  return image(
    [B, H / 2, W / 2, 4 * C],
    (b, row, col, k) => at(x, b, 2 * row + (k >> 1 & 1), 2 * col + (k & 1), k >> 2),
  );
}

/** pixel_shuffle by 2: [B, h, w, 4·C] to [B, 2h, 2w, C]. */
export function shuffle(x: Image): Image {
  const [B, h, w, K] = x.shape as [number, number, number, number];
  return image(
    [B, 2 * h, 2 * w, K / 4],
    (b, row, col, c) => at(x, b, row >> 1, col >> 1, 4 * c + 2 * (row & 1) + (col & 1)),
  );
}
