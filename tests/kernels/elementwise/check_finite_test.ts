import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { checkFinite } from "../../../kernels/elementwise/check_finite.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";

Deno.test("checkFinite() marks NaN and infinities wherever they are, and nothing else", async () => {
  const next = random(1);
  for (const count of [1, 63, 257, 64 * 65535 + 5]) {
    const x = Float32Array.from(values(next, count));
    x.set([3.4e38, -3.4e38, 1e-45, -0].slice(0, count));
    const nonFinite = upload("u32", [1], [0]);
    checkFinite(device, { x: device.from("f32", [count], x), nonFinite });
    assertEquals(await device.read(nonFinite), Uint32Array.of(0));
    for (const bad of [NaN, -NaN, Infinity, -Infinity]) {
      const nonFinite = upload("u32", [1], [0]);
      const at = Math.floor(next() * count);
      checkFinite(device, { x: device.from("f32", [count], x.with(at, bad)), nonFinite });
      checkFinite(device, { x: upload("f32", [1], [1]), nonFinite });
      assertEquals(await device.read(nonFinite), Uint32Array.of(1), `${bad} at ${at} of ${count}`);
    }
  }
});

Deno.test("checkFinite() does not look beyond x", async () => {
  const rows = poisoned("f32", [64, 5]);
  device.upload(rows, new Float32Array(5));
  const nonFinite = upload("u32", [1], [0]);
  checkFinite(device, { x: rows.rows(0, 1), nonFinite });
  assertEquals(await device.read(nonFinite), Uint32Array.of(0));
});

Deno.test("checkFinite() refuses other dtypes", () => {
  const nonFinite = upload("u32", [1], [0]);
  assertThrows(
    () => checkFinite(device, { x: poisoned("f16", [4]), nonFinite }),
    KernelError,
    "Cannot check f16 [4] into u32 [1]",
  );
});
