/** Runs a compute kernel of your own on the model's device: `deno run -R -W -E examples/custom_kernel.ts` */
import { encodePng, InfinityModel } from "@bitwise/infinity";
import { defineKernel, grid } from "@bitwise/infinity/engine";

/** Swaps red (the low byte) and blue, one invocation for each RGBA pixel. */
const swapRedAndBlue = defineKernel(
  "swap_red_and_blue",
  `struct Params { count: u32 }
  @group(0) @binding(0) var<uniform> params: Params;
  @group(0) @binding(1) var<storage, read> x: array<u32>;
  @group(0) @binding(2) var<storage, read_write> y: array<u32>;

  @compute @workgroup_size(64)
  fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * groups.x * 64u + id.x;
    if (i >= params.count) { return; }
    let pixel = x[i];
    y[i] = (pixel & 0xff00ff00u) | ((pixel & 0xffu) << 16u) | ((pixel >> 16u) & 0xffu);
  }`,
  ["x", "y"],
  ["count"],
);

using model = await InfinityModel.load();
const { images: [apple] } = await model.generate("a red apple", { seed: 7 });
const { width, height, rgba } = apple!;
const { device } = model;
const count = width * height;

using x = device.from("u32", [height, width], new Uint32Array(rgba.buffer));
using y = device.tensor("u32", [height, width]);
device.run(swapRedAndBlue, { bind: { x, y }, params: { count }, workgroups: grid(count / 64) });
const pixels = new Uint8Array((await device.read(y)).buffer);
await Deno.writeFile("blue-apple.png", encodePng(pixels, width, height));
