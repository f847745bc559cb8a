import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { checkFinite } from "../../../kernels/elementwise/check_finite.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";

Deno.test("checkFinite() marks NaN and infinities wherever they are, and nothing else", async () => {
  const next = random(1);
  for (const count of [1, 63, 257, 64 * 65535 + 5]) {
    const x = Float32Array.from(values(next, count));
    x.set([3.4e38, -3.4e38, 1e-45, -0].slice(0, count));
    const broken = upload("u32", [1], [0]);
    checkFinite(device, { x: device.from("f32", [count], x), broken });
    assertEquals(await device.read(broken), Uint32Array.of(0));
    for (const bad of [NaN, -NaN, Infinity, -Infinity]) {
      const broken = upload("u32", [1], [0]);
      const at = Math.floor(next() * count);
      checkFinite(device, { x: device.from("f32", [count], x.with(at, bad)), broken });
      checkFinite(device, { x: upload("f32", [1], [1]), broken });
      assertEquals(await device.read(broken), Uint32Array.of(1), `${bad} at ${at} of ${count}`);
    }
  }
});

Deno.test("checkFinite() does not look beyond x", async () => {
  const whole = poisoned("f32", [64, 5]);
  device.upload(whole, new Float32Array(5));
  const broken = upload("u32", [1], [0]);
  checkFinite(device, { x: whole.rows(0, 1), broken });
  assertEquals(await device.read(broken), Uint32Array.of(0));
});

Deno.test("checkFinite() refuses other dtypes", () => {
  const broken = upload("u32", [1], [0]);
  assertThrows(
    () => checkFinite(device, { x: poisoned("f16", [4]), broken }),
    KernelError,
    "Cannot check f16 [4] into u32 [1]",
  );
});
