import { assert, assertEquals } from "@std/assert";
import { bytesSource } from "../../../../engine/mod.ts";
import { readStrided, viewSpan } from "../../../../model/release/torch/strided_view.ts";
import { contiguous } from "./torch_files.ts";

/** The elements of a view, one at a time. */
function reference(
  data: ArrayLike<number>,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): number[] {
  const count = shape.reduce((a, b) => a * b, 1);
  const steps = contiguous(shape);
  return Array.from({ length: count }, (_, flat) => {
    const at = shape.map((size, d) => Math.floor(flat / steps[d]!) % size * strides[d]!);
    return data[at.reduce((a, b) => a + b, offset)]!;
  });
}

const views: [string, number[], number[], number][] = [
  ["contiguous", [3, 4, 5], [20, 5, 1], 0],
  ["transposed", [7, 11], [1, 7], 0],
  ["permuted", [4, 3, 5], [5, 20, 1], 0],
  ["channels last", [2, 3, 4, 5], [60, 1, 15, 3], 0],
  ["a slice of columns", [6, 3], [10, 1], 4],
  ["every second", [9], [2], 1],
  ["expanded", [5, 4], [0, 1], 3],
  ["expanded inside", [4, 5], [1, 0], 3],
  ["one number, often", [2, 3, 4], [0, 0, 0], 7],
  ["a number", [], [], 9],
  ["ones between", [1, 4, 1, 3, 1], [99, 1, 99, 4, 99], 2],
  ["windows that overlap", [5, 3], [1, 1], 0],
  ["empty", [3, 0, 2], [2, 2, 1], 0],
];

for (const [name, shape, strides, offset] of views) {
  Deno.test(`readStrided() reads ${name} views, in any pieces`, async () => {
    const data = Uint16Array.from({ length: 120 }, (_, i) => 1000 + i);
    const source = bytesSource("x", new Uint8Array(data.buffer));
    const all = reference(data, offset, shape, strides);
    assert(offset + viewSpan(shape, strides) <= data.length);
    const view = { source, start: 2 * offset, itemBytes: 2, shape, strides };
    for (const maxBytes of [2, 6, 14, 40, 1000]) {
      for (const step of [1, 3, 8, 1000]) {
        const found: number[] = [];
        for (let from = 0; from < all.length; from += step) {
          const to = Math.min(all.length, from + step);
          const bytes = await readStrided(view, from, to, maxBytes);
          found.push(...new Uint16Array(bytes.buffer));
        }
        assertEquals(found, all);
      }
    }
  });
}

Deno.test("readStrided() reads elements of 1, 2, 4 and 8 bytes, bit by bit", async () => {
  for (const itemBytes of [1, 2, 4, 8]) {
    const bytes = new Uint8Array(6 * itemBytes).map((_, i) => 255 - i % 7);
    const source = bytesSource("x", bytes);
    const view = { source, start: 0, itemBytes, shape: [3, 2], strides: [1, 3] };
    const item = (i: number) => [...bytes.slice(i * itemBytes, (i + 1) * itemBytes)];
    assertEquals([...await readStrided(view, 0, 6)], [0, 3, 1, 4, 2, 5].flatMap(item));
  }
});

Deno.test("readStrided() reads a large transposed matrix in bounded pieces", async () => {
  const [rows, columns] = [300, 500];
  const data = Float32Array.from({ length: rows * columns }, (_, i) => i);
  let most = 0;
  const inner = bytesSource("x", new Uint8Array(data.buffer));
  const source = {
    ...inner,
    read: (offset: number, length: number) => {
      most = Math.max(most, length);
      return inner.read(offset, length);
    },
  };
  const view = { source, start: 0, itemBytes: 4, shape: [rows, columns], strides: [1, rows] };
  const bytes = await readStrided(view, 0, rows * columns, 65536);
  assertEquals([...new Float32Array(bytes.buffer)], reference(data, 0, view.shape, view.strides));
  assert(most <= 65536);
});
