import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { rgba8 } from "../../../kernels/elementwise/rgba8.ts";
import { device, poisoned, random, upload } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("rgba8() packs odd numbers of pixels, and clamps and truncates values", async () => {
  const next = random(1);
  for (const shape of [[1, 1, 1], [2, 3, 5], [1, 65, 3], [1, 40, 40]]) {
    const pixels = shape.reduce((a, b) => a * b);
    const x = Float32Array.from({ length: pixels * 3 }, () => next() * 2.4 - 1.2);
    x.set([-1, 1, 0].slice(0, x.length));
    const y = poisoned("u32", shape);
    rgba8(device, { x: upload("f32", [...shape, 3], x), y });
    assertEquals(await device.read(y), reference.rgba8(x));
  }
});

Deno.test("rgba8() rounds like the official code around every level", async () => {
  // the threshold of each level, and its neighbours in f32
  const edges: number[] = [];
  for (let i = 0; i <= 255; i++) {
    const bits = new Int32Array(Float32Array.of(i / 127.5 - 1).buffer)[0]!;
    for (let d = -2; d <= 2; d++) edges.push(new Float32Array(Int32Array.of(bits + d).buffer)[0]!);
  }
  const x = Float64Array.from([...edges, ...edges, ...edges].map((v) => Number.isNaN(v) ? 0 : v));
  const y = poisoned("u32", [1, 1, edges.length]);
  rgba8(device, { x: upload("f32", [1, 1, edges.length, 3], x), y });
  const bytes = new Uint8Array((await device.read(y)).buffer);
  assertEquals(bytes.filter((_, i) => i % 4 !== 3), Uint8Array.from(x, reference.level));
});

Deno.test("golden: rgba8() gives the official bytes", async () => {
  const file = await golden("interp");
  const { shape: [, , H = 0, W = 0], data } = file.tensor("post.x");
  const bgr = file.tensor<Uint8Array<ArrayBuffer>>("post.u8_bgr").data;
  const x = Float64Array.from(data, (_, i) => data[i % 3 * H * W + Math.floor(i / 3)]!);
  const y = poisoned("u32", [1, H, W]);
  rgba8(device, { x: upload("f32", [1, H, W, 3], x), y });
  const bytes = new Uint8Array((await device.read(y)).buffer);
  for (let p = 0; p < H * W; p++) {
    const [b, g, r] = bgr.slice(3 * p, 3 * p + 3);
    assertEquals([...bytes.slice(4 * p, 4 * p + 4)], [r, g, b, 255]);
  }
});

Deno.test("rgba8() refuses shapes that disagree", () => {
  const x = upload("f32", [1, 2, 2, 4], new Float64Array(16));
  assertThrows(
    () => rgba8(device, { x, y: poisoned("u32", [1, 2, 2]) }),
    KernelError,
    "Cannot make RGBA [1,2,2] of [1,2,2,4]",
  );
});
