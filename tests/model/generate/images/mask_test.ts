import { assertEquals } from "@std/assert";
import { clearPositions, maskedPositions } from "../../../../model/generate/images/mask.ts";

/** 16x8 pixels, for positions of 8x8: the first columns of the left one have one value, all others another. */
function image(columns: number, [first, others]: readonly [number[], number[]]) {
  const rgba = new Uint8Array(4 * 16 * 8);
  for (let i = 0; i < 16 * 8; i++) rgba.set(i % 16 < columns ? first : others, 4 * i);
  return { width: 16, height: 8, rgba };
}

Deno.test("maskedPositions() frees a position of which half is white, and none of less", async () => {
  const of = (columns: number) => {
    const mask = image(columns, [[255, 255, 255, 255], [0, 0, 0, 255]]);
    return maskedPositions(mask, { width: 16, height: 8 }, [1, 2], 8);
  };
  assertEquals([await of(4), await of(3)], [[true, false], [false, false]]);
});

Deno.test("clearPositions() frees a position of which half is transparent, and none of less", async () => {
  const of = (columns: number) =>
    clearPositions(image(columns, [[9, 9, 9, 0], [9, 9, 9, 255]]), [1, 2], 8);
  assertEquals([await of(4), await of(3)], [[true, false], null]);
});
