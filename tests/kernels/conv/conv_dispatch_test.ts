import { assertEquals } from "@std/assert";
import { imagesInParts } from "../../../kernels/conv/conv_dispatch.ts";
import { device } from "../harness.ts";

Deno.test("imagesInParts() cuts a batch where every part can be bound", () => {
  const images = (B: number, elements: number) => device.tensor("f32", [B, elements]);
  // 64 f32 are 256 bytes
  assertEquals(imagesInParts(5, 2.9, [images(5, 64)]), [[0, 2], [2, 2], [4, 1]]);
  assertEquals(imagesInParts(3, 0.1, [images(3, 128)]), [[0, 1], [1, 1], [2, 1]]);
  assertEquals(imagesInParts(3, 7, [images(3, 1)]), [[0, 3]]);
  // 16 f32: four images at a time
  assertEquals(imagesInParts(10, 3, [images(10, 64), images(10, 16)]), [[0, 4], [4, 4], [8, 2]]);
  assertEquals(imagesInParts(10, 4, [images(10, 16)]), [[0, 4], [4, 4], [8, 2]]);
  // an odd number: only 64 images at a time would do
  assertEquals(imagesInParts(10, 1, [images(10, 5)]), [[0, 10]]);
});
