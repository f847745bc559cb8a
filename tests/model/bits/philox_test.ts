import { assert, assertEquals } from "@std/assert";
import { philox, shuffled } from "../../../model/bits/philox.ts";

Deno.test("philox() gives the published words", () => {
  // kat_vectors of Random123: philox4x32, 10 rounds
  const all = 0xffffffff;
  const published: [[number, number, number, number], bigint, string][] = [
    [[0, 0, 0, 0], 0n, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [[all, all, all, all], 0xffffffff_ffffffffn, "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      0x299f31d0_a4093822n,
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    ],
  ];
  for (const [counter, key, words] of published) {
    const actual = philox(counter, key).map((word) => word.toString(16).padStart(8, "0"));
    assertEquals(actual.join(" "), words);
  }
});

Deno.test("shuffled() orders by seed and stream, and keeps all items", () => {
  const items = Array.from({ length: 100 }, (_, i) => 3 * i);
  const order = shuffled(items, 5n, 1);
  assertEquals(shuffled(items, 5n, 1), order);
  assertEquals(order.toSorted((a, b) => a - b), items);
  for (const other of [items, shuffled(items, 6n, 1), shuffled(items, 5n, 2)]) {
    assert(other.some((item, i) => item !== order[i]));
  }
  // removing an item keeps the order of the others
  assertEquals(shuffled(items.slice(1), 5n, 1), order.filter((item) => item !== 0));
});
