import { assert, assertEquals, assertLess } from "@std/assert";
import { fitAlpha, fitImage, fitMask } from "../../../model/image/resize.ts";
import type { Image } from "../../../model/image/png.ts";
import { MASKS, paint, resizable, resizableMask, RESIZED } from "./image_files.ts";

/** Maps values of [-1, 1] back to bytes; every value must belong to a byte. */
function bytesOf(values: Float32Array): Uint8Array {
  return Uint8Array.from(values, (value) => {
    const byte = Math.round((value + 1) * 127.5);
    assertEquals(value, Math.fround(2 * Math.fround(byte / 255) - 1));
    return byte;
  });
}

/** Returns the largest and the mean difference of two lists of bytes. */
function difference(a: Uint8Array, b: Uint8Array): { most: number; mean: number } {
  assertEquals(a.length, b.length);
  const each = [...a].map((value, i) => Math.abs(value - b[i]));
  return { most: Math.max(...each), mean: each.reduce((x, y) => x + y) / each.length };
}

function plain(width: number, height: number, ...rgba: number[]) {
  return { width, height, rgba: paint(width, height, () => rgba) };
}

Deno.test("fitImage() resizes and crops as Pillow does", async () => {
  for (const { from, to, transparent, rgb } of RESIZED) {
    const [width, height] = to;
    const values = await fitImage(resizable(from, transparent), width, height);
    const { most, mean } = difference(bytesOf(values), rgb);
    assertLess(most, 2, `${from} to ${to}`);
    assertLess(mean, 0.01, `${from} to ${to}`);
  }
});

Deno.test("fitImage() leaves an image of that size unchanged", async () => {
  const image = resizable([16, 9], false);
  const rgb = image.rgba.filter((_, i) => i % 4 < 3);
  assertEquals(bytesOf(await fitImage(image, 16, 9)), rgb);
});

Deno.test("fitImage() maps black to -1 and white to 1, at any size", async () => {
  for (const [width, height] of [[5, 3], [3, 5], [64, 48], [1, 1]]) {
    for (const [byte, value] of [[0, -1], [255, 1]]) {
      const values = await fitImage(plain(width, height, byte, byte, byte, 255), 13, 11);
      assertEquals(values, new Float32Array(13 * 11 * 3).fill(value));
    }
  }
});

Deno.test("fitImage() blends a transparent image with white", async () => {
  const pixels = [[10, 20, 30, 0], [10, 20, 30, 51], [10, 20, 30, 255]];
  const image = { width: 3, height: 1, rgba: paint(3, 1, (x) => pixels[x]) };
  const expected = [255, 255, 255, 206, 208, 210, 10, 20, 30]; // 0.2 of it, and 0.8 × 255
  assertEquals(bytesOf(await fitImage(image, 3, 1)), new Uint8Array(expected));
});

Deno.test("fitImage() crops the centre, and an odd pixel from the far side", async () => {
  const bytes = (image: Float32Array) => [...bytesOf(image)].filter((_, i) => i % 3 === 0);
  const row = { width: 7, height: 2, rgba: paint(7, 2, (x) => [x, x, x, 255]) };
  assertEquals(bytes(await fitImage(row, 2, 2)), [2, 3, 2, 3]);
  const column = { width: 2, height: 7, rgba: paint(2, 7, (_, y) => [y, y, y, 255]) };
  assertEquals(bytes(await fitImage(column, 2, 2)), [2, 2, 3, 3]);
});

Deno.test("fitImage() covers every size from every shape", async () => {
  for (let width = 1; width < 24; width++) {
    for (let height = 1; height < 24; height++) {
      const image = plain(width, height, 255, 255, 255, 255);
      for (const [w, h] of [[1, 1], [7, 5], [10, 23]]) {
        const values = await fitImage(image, w, h);
        assertEquals(values.length, w * h * 3);
        assert(values.every((value) => value === 1), `${width}x${height} to ${w}x${h}`);
      }
    }
  }
});

Deno.test("fitImage() and fitMask() compute only the part of a long image that is kept", async () => {
  // resized completely, these would take 20 GB
  for (const [width, height] of [[100_000, 1], [1, 100_000]]) {
    const image = plain(width, height, 255, 255, 255, 255);
    assert((await fitImage(image, 256, 256)).every((value) => value === 1));
    assert((await fitMask(image, 256, 256)).every((value) => value === 1));
  }
});

Deno.test("fitMask() resizes and crops as Pillow does", async () => {
  for (const { from, to, grey } of MASKS) {
    const [width, height] = to;
    const values = await fitMask(resizableMask(from), width, height);
    assertEquals(values, Float32Array.from(grey, (byte) => byte / 255), `${from} to ${to}`);
  }
});

Deno.test("fitMask() takes the luminance, and black for transparent parts", async () => {
  const value = async (...rgba: number[]) => (await fitMask(plain(2, 2, ...rgba), 1, 1))[0];
  assertEquals(await value(255, 0, 0, 255), Math.fround(76 / 255));
  assertEquals(await value(0, 255, 0, 255), Math.fround(150 / 255));
  assertEquals(await value(0, 0, 255, 255), Math.fround(29 / 255));
  assertEquals(await value(255, 255, 255, 255), 1);
  assertEquals(await value(255, 255, 255, 102), Math.fround(102 / 255));
  assertEquals(await value(255, 255, 255, 0), 0);
});

Deno.test("fitMask() stays aligned with its image", async () => {
  // a bright block off the centre: the image is white where the mask is 1, and black where it is 0
  const block = (x: number, y: number) => x >= 24 && x < 48 && y >= 8 && y < 20 ? 255 : 0;
  const rgba = paint(96, 32, (x, y) => [block(x, y), block(x, y), block(x, y), 255]);
  for (const [width, height] of [[16, 16], [64, 48], [40, 8]]) {
    const image = await fitImage({ width: 96, height: 32, rgba }, width, height);
    const mask = await fitMask({ width: 96, height: 32, rgba }, width, height);
    const seen = new Set<number>();
    mask.forEach((covered, i) => {
      if (covered !== 0 && covered !== 1) return;
      assertEquals(image[i * 3] > 0, covered === 1);
      seen.add(covered);
    });
    assertEquals(seen.size, 2);
  }
});

/** The same arithmetic, plainly: on the whole image, in float64, each output from its own weights. */
function resizeSlowly(
  { width, height, rgba }: Image,
  [w, h]: number[],
  lanczos: boolean,
  bytesOf: (pixel: Uint8Array) => number[],
): Float32Array {
  const aspect = width / height;
  const [fullW, fullH] = aspect <= w / h
    ? [w, Math.max(h, Math.trunc(w / aspect))]
    : [Math.max(w, Math.trunc(aspect * h)), h];
  const sinc = (x: number) => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  const weigh = (x: number) => {
    if (!lanczos) return x > -0.5 && x <= 0.5 ? 1 : 0;
    return Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
  };
  const weightsOf = (size: number, full: number, kept: number, i: number) => {
    const scale = size / full;
    const shrink = Math.max(scale, 1);
    const centre = (Math.floor((full - kept) / 2) + i + 0.5) * scale;
    const reach = (lanczos ? 3 : 0.5) * shrink;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(size, Math.floor(centre + reach + 0.5));
    const own = Array.from({ length: last - first }, (_, k) => {
      return weigh((first + k + 0.5 - centre) / shrink);
    });
    const total = own.reduce((a, b) => a + b);
    return own.map((weight, k) => [first + k, Math.round(weight / total * 2 ** 22) / 2 ** 22]);
  };
  const toByte = (sum: number) => Math.min(255, Math.max(0, Math.floor(sum + 0.5)));
  const pixels = Array.from({ length: width * height }, (_, i) => {
    return bytesOf(rgba.subarray(4 * i, 4 * i + 4));
  });
  const channels = pixels[0].length;
  const across = Array.from({ length: w }, (_, i) => weightsOf(width, fullW, w, i));
  const narrow = (y: number, i: number, c: number) =>
    toByte(across[i].reduce((sum, [x, weight]) => sum + weight * pixels[y * width + x][c], 0));
  const narrowed = Array.from({ length: height * w * channels }, (_, at) => {
    return narrow(Math.floor(at / channels / w), Math.floor(at / channels) % w, at % channels);
  });
  return Float32Array.from({ length: w * h * channels }, (_, at) => {
    const rows = weightsOf(height, fullH, h, Math.floor(at / channels / w));
    const column = at % (w * channels);
    const sum = rows.reduce(
      (s, [y, weight]) => s + weight * narrowed[y * w * channels + column],
      0,
    );
    const value = Math.fround(toByte(sum) / 255);
    return channels === 3 ? Math.fround(Math.fround(value + value) - 1) : value;
  });
}

/** Random numbers, the same at each run: integers from `low` to `high`. */
function dice(seed: number): (low: number, high: number) => number {
  return (low, high) => {
    seed = Math.imul(seed, 1664525) + 1013904223 | 0;
    return low + Math.floor((seed >>> 0) / 2 ** 32 * (high - low + 1));
  };
}

Deno.test("fitImage(), fitMask() and fitAlpha() give the same values from rows as from a whole image", async () => {
  const roll = dice(12);
  const side = () => [1, 2, roll(1, 9), roll(10, 90)][roll(0, 3)];
  for (let i = 0; i < 150; i++) {
    const [width, height, w, h] = [side(), side(), side(), side()];
    const opaque = roll(0, 1) === 1;
    const harsh = roll(0, 1) === 1; // black and white make the filter overshoot
    const rgba = paint(width, height, () => {
      const [r, g, b] = [0, 0, 0].map(() => harsh ? 255 * roll(0, 1) : roll(0, 255));
      return [r, g, b, opaque ? 255 : roll(0, 255)];
    });
    const image = { width, height, rgba };
    const buffer = new Uint8Array(4 * width * height);
    const rows = async function* () {
      for (let y = 0; y < height;) {
        const count = Math.min(roll(1, 3), height - y);
        const piece = buffer.subarray(0, count * 4 * width);
        piece.set(rgba.subarray(y * 4 * width, (y += count) * 4 * width));
        yield piece;
        buffer.fill(7); // what was yielded is not kept
      }
    };
    const file = { width, height, opaque, rows };
    const over = (value: number, alpha: number, below: number) =>
      Math.round((value * alpha + below * (255 - alpha)) / 255);
    const expected = [
      resizeSlowly(image, [w, h], true, ([r, g, b, a]) => [r, g, b].map((v) => over(v, a, 255))),
      resizeSlowly(image, [w, h], false, ([r, g, b, a]) => {
        return [over(0.299 * r + 0.587 * g + 0.114 * b, a, 0)];
      }),
      resizeSlowly(image, [w, h], false, ([, , , a]) => [255 - a]),
    ];
    for (const [kind, resize] of [fitImage, fitMask, fitAlpha].entries()) {
      const message = `${resize.name}: ${width}x${height} to ${w}x${h}`;
      assertEquals(await resize(image, w, h), expected[kind], message);
      assertEquals(await resize(file, w, h), expected[kind], message);
    }
  }
});

Deno.test("fitAlpha() covers what is clear, by area", async () => {
  const alpha = (x: number) => [255, 255, 0, 51][x];
  const image = { width: 4, height: 2, rgba: paint(4, 2, (x) => [1, 2, 3, alpha(x)]) };
  assertEquals([...await fitAlpha(image, 4, 2)], [0, 0, 1, 0.8, 0, 0, 1, 0.8].map(Math.fround));
  assertEquals([...await fitAlpha(image, 2, 1)], [0, Math.fround(230 / 255)]); // 0.9, as a byte
});
