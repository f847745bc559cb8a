import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import "../backend.ts";
import { defineKernel, Device, KernelError } from "../../engine/mod.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { guide } from "../../kernels/elementwise/guide.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import { rgba8 } from "../../kernels/elementwise/rgba8.ts";
import { packLinear } from "../../kernels/linear/linear.ts";
import { checkGuards, guard } from "./guards.ts";

// with guards bound: what a driver does beyond a binding that nobody checks is its own business
const device = guard(await Device.open());
globalThis.addEventListener("unload", () => device.dispose());

const shift = defineKernel(
  "shift",
  `struct Params { i: u32, j: u32 }
  @group(0) @binding(0) var<uniform> params: Params;
  @group(0) @binding(1) var<storage, read> x: array<f32>;
  @group(0) @binding(2) var<storage, read_write> y: array<f32>;
  @compute @workgroup_size(1) fn main() { y[params.j] = x[params.i]; }`,
  ["x", "y"],
  ["i", "j"],
);

Deno.test("guard() makes NaN of what is read beyond a tensor, and of what is not written", async () => {
  const x = device.from("f32", [4], Float32Array.of(1, 2, 3, 4)), y = device.tensor("f32", [3]);
  device.run(shift, { bind: { x, y }, params: { i: 4, j: 0 }, workgroups: [1] });
  device.run(shift, { bind: { x, y }, params: { i: 3, j: 1 }, workgroups: [1] });
  assertEquals([...await device.read(y)], [NaN, 4, NaN]);
});

Deno.test("checkGuards() tells what was written beyond a tensor, and where", async () => {
  const x = device.from("f32", [4], Float32Array.of(1, 2, 3, 4)),
    y = device.tensor("f32", [8], "sums");
  device.run(shift, { bind: { x, y }, params: { i: 0, j: 9 }, workgroups: [1] });
  // 1 is 00 00 80 3f
  const message = "Written beyond a tensor: byte 4 after sums f32 [8]";
  const error = await assertRejects(checkGuards, Error, message);
  assert(!error.message.includes(";"), error.message);
});

Deno.test("launchers refuse f16 where their kernels take f32", () => {
  const y = device.tensor("f16", [4, 4, 4, 3]), w = device.tensor("f16", [4, 4, 1, 1]);
  const pixels = device.tensor("u32", [4, 4, 4]);
  for (
    const [launch, what] of [
      [() => rgba8(device, { x: y, y: pixels }), "x of rgba8"],
      [() => guide(device, { y, cfg: 3 }), "y of guide"],
      [() => randomNormal(device, { y, key: 1 }), "y of random_normal"],
      [() => packLinear(device, [w.reshape(4, 4)], null, "q8_0"), "w of pack_quantised"],
      [() => packConv(device, w, device.tensor("f32", [4])), "w of pack_conv"],
    ] as const
  ) {
    assertThrows(launch, KernelError, `Cannot bind f16 to ${what}, which takes f32`);
  }
});
