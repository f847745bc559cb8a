import { assert, assertEquals, assertLess } from "@std/assert";
import { fitImage, fitMask } from "../../../model/image/resize.ts";
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

Deno.test("fitImage() resizes and crops as Pillow does", () => {
  for (const { from, to, transparent, rgb } of RESIZED) {
    const [width, height] = to;
    const values = fitImage(resizable(from, transparent), width, height);
    const { most, mean } = difference(bytesOf(values), rgb);
    assertLess(most, 2, `${from} to ${to}`);
    assertLess(mean, 0.01, `${from} to ${to}`);
  }
});

Deno.test("fitImage() leaves an image of that size unchanged", () => {
  const image = resizable([16, 9], false);
  const rgb = image.rgba.filter((_, i) => i % 4 < 3);
  assertEquals(bytesOf(fitImage(image, 16, 9)), rgb);
});

Deno.test("fitImage() maps black to -1 and white to 1, at any size", () => {
  for (const [width, height] of [[5, 3], [3, 5], [64, 48], [1, 1]]) {
    for (const [byte, value] of [[0, -1], [255, 1]]) {
      const values = fitImage(plain(width, height, byte, byte, byte, 255), 13, 11);
      assertEquals(values, new Float32Array(13 * 11 * 3).fill(value));
    }
  }
});

Deno.test("fitImage() blends a transparent image with white", () => {
  const pixels = [[10, 20, 30, 0], [10, 20, 30, 51], [10, 20, 30, 255]];
  const image = { width: 3, height: 1, rgba: paint(3, 1, (x) => pixels[x]) };
  const expected = [255, 255, 255, 206, 208, 210, 10, 20, 30]; // 0.2 of it, and 0.8 × 255
  assertEquals(bytesOf(fitImage(image, 3, 1)), new Uint8Array(expected));
});

Deno.test("fitImage() crops the centre, and an odd pixel from the far side", () => {
  const bytes = (image: Float32Array) => [...bytesOf(image)].filter((_, i) => i % 3 === 0);
  const row = { width: 7, height: 2, rgba: paint(7, 2, (x) => [x, x, x, 255]) };
  assertEquals(bytes(fitImage(row, 2, 2)), [2, 3, 2, 3]);
  const column = { width: 2, height: 7, rgba: paint(2, 7, (_, y) => [y, y, y, 255]) };
  assertEquals(bytes(fitImage(column, 2, 2)), [2, 2, 3, 3]);
});

Deno.test("fitImage() covers every size from every shape", () => {
  for (let width = 1; width < 24; width++) {
    for (let height = 1; height < 24; height++) {
      const image = plain(width, height, 255, 255, 255, 255);
      for (const [w, h] of [[1, 1], [7, 5], [10, 23]]) {
        const values = fitImage(image, w, h);
        assertEquals(values.length, w * h * 3);
        assert(values.every((value) => value === 1), `${width}x${height} to ${w}x${h}`);
      }
    }
  }
});

Deno.test("fitImage() and fitMask() compute only the part of a long image that is kept", () => {
  // resized completely, these would take 20 GB
  for (const [width, height] of [[100_000, 1], [1, 100_000]]) {
    const image = plain(width, height, 255, 255, 255, 255);
    assert(fitImage(image, 256, 256).every((value) => value === 1));
    assert(fitMask(image, 256, 256).every((value) => value === 1));
  }
});

Deno.test("fitMask() resizes and crops as Pillow does", () => {
  for (const { from, to, grey } of MASKS) {
    const [width, height] = to;
    const values = fitMask(resizableMask(from), width, height);
    assertEquals(values, Float32Array.from(grey, (byte) => byte / 255), `${from} to ${to}`);
  }
});

Deno.test("fitMask() takes the luminance, and black for transparent parts", () => {
  const value = (...rgba: number[]) => fitMask(plain(2, 2, ...rgba), 1, 1)[0];
  assertEquals(value(255, 0, 0, 255), Math.fround(76 / 255));
  assertEquals(value(0, 255, 0, 255), Math.fround(150 / 255));
  assertEquals(value(0, 0, 255, 255), Math.fround(29 / 255));
  assertEquals(value(255, 255, 255, 255), 1);
  assertEquals(value(255, 255, 255, 102), Math.fround(102 / 255));
  assertEquals(value(255, 255, 255, 0), 0);
});

Deno.test("fitMask() stays aligned with its image", () => {
  // a bright block off the centre: the image is white where the mask is 1, and black where it is 0
  const block = (x: number, y: number) => x >= 24 && x < 48 && y >= 8 && y < 20 ? 255 : 0;
  const rgba = paint(96, 32, (x, y) => [block(x, y), block(x, y), block(x, y), 255]);
  for (const [width, height] of [[16, 16], [64, 48], [40, 8]]) {
    const image = fitImage({ width: 96, height: 32, rgba }, width, height);
    const mask = fitMask({ width: 96, height: 32, rgba }, width, height);
    const seen = new Set<number>();
    mask.forEach((covered, i) => {
      if (covered !== 0 && covered !== 1) return;
      assertEquals(image[i * 3] > 0, covered === 1);
      seen.add(covered);
    });
    assertEquals(seen.size, 2);
  }
});
