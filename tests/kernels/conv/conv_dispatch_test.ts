import { assertEquals } from "@std/assert";
import { defineKernel } from "../../../engine/mod.ts";
import { packConv } from "../../../kernels/conv/conv2d_weight.ts";
import { BINDINGS, imagesInParts, PARAMS } from "../../../kernels/conv/conv_dispatch.ts";
import { accessY, readX } from "../../../kernels/shared/access.ts";
import source from "../../../kernels/conv/conv2d.wgsl" with { type: "text" };
import pixelsSource from "../../../kernels/shared/pixels.wgsl" with { type: "text" };
import { device, poisoned, upload } from "../harness.ts";

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

// conv2d.wgsl, which counts the pixels of x that it reads: a sum that is not stored hides them from guards
const spy = defineKernel(
  "spy",
  `${source.replace("load_x(u32(max(pixel, 0)), c)", "load_x(seen(pixel), c)")}
@group(0) @binding(5) var<storage, read_write> reached: array<atomic<u32>>;
fn seen(pixel: i32) -> u32 {
  atomicMax(&reached[0], u32(max(pixel, 0)) + 1);
  return u32(max(pixel, 0));
}`,
  [...BINDINGS, "reached"],
  PARAMS,
);

Deno.test("conv2d() reads no pixel beyond x where the last eight are not whole", async () => {
  const C = 4, N = 3;
  const w = upload("f32", [N, C, 3, 3], new Float32Array(N * C * 9));
  const conv = packConv(device, w, upload("f32", [N], new Float32Array(N)), "f32", "w", false);
  const read = readX("f32", C, "C"), access = accessY("f32", false);
  for (const [B, H, W] of [[1, 5, 5], [3, 3, 3], [1, 1, 1], [2, 4, 4]] as const) {
    const pixels = B * H * W;
    const x = upload("f32", [B, H, W, C], new Float32Array(pixels * C));
    const reached = upload("u32", [1], [0]);
    const geometry = { pixels, height: H, width: W, in_height: H, in_width: W, C, N, size: 3 };
    const rest = { stride: 1, pad_y: 1, pad_x: 1, upsample: 0, has_bias: 1, accumulate: 0 };
    device.run(spy, {
      specialise: { X: read.type, Y: access.type, W: "f32", WG: 64 },
      functions: [pixelsSource, read.lines, access.lines].join("\n"),
      bind: { x, w: conv.weight, bias: conv.bias, y: poisoned("f32", [B, H, W, N]), reached },
      params: { ...geometry, ...rest, first: 0 },
      workgroups: [1],
    });
    assertEquals([...await device.read(reached)], [pixels], `[${B}, ${H}, ${W}]`);
  }
});
