import { assertEquals } from "@std/assert";
import { defineKernel } from "../../../engine/mod.ts";
import { narrowLines } from "../../../kernels/shared/narrow.ts";
import { device, NEED_F16, poisoned } from "../harness.ts";

const kernel = defineKernel(
  "narrow",
  `struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@compute @workgroup_size(16) fn main(@builtin(local_invocation_index) i: u32) {
  if (i < params.count) { y[i] = narrow(x[i]); }
}`,
  ["x", "y"],
  ["count"],
);

Deno.test({
  name:
    `narrow() clamps numbers to f16, or lets them overflow, and leaves every NaN and infinity${NEED_F16}`,
  ignore: NEED_F16 !== "",
  fn: async () => {
    const x = new Float32Array(16);
    x.set([65504, 65519, 65520, -65520, 1e9, -3.4e38, 1.5, 0, -(2 ** -14), 7], 6);
    const words = new Uint32Array(x.buffer); // JavaScript may change the bits of a NaN
    words.set([0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff, 0x7f800000, 0xff800000]);
    const held = device.tensor("f32", [16]);
    device.upload(held, words);
    const largest = 65504;
    const expected = (most: number) => [
      ...[NaN, NaN, NaN, NaN, Infinity, -Infinity],
      ...[largest, most, most, -most, most, -most, 1.5, 0, -(2 ** -14), 7],
    ];
    const cases = [1, 4].flatMap((per) =>
      (["largest", "infinity"] as const).map((overflow) => ({ per: per as 1 | 4, overflow }))
    );
    for (const { per, overflow } of cases) {
      const y = poisoned("f16", [16]);
      const type = (scalar: string) => per === 4 ? `vec4<${scalar}>` : scalar;
      device.run(kernel, {
        specialise: { V: type("f32"), Y: type("f16") },
        functions: narrowLines("f16", per, "narrow", overflow),
        bind: { x: held, y },
        params: { count: 16 / per },
        workgroups: [1],
      });
      assertEquals(
        [...await device.read(y)],
        expected(overflow === "largest" ? largest : Infinity),
      );
    }
  },
});
