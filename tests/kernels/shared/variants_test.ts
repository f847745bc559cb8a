import { assertEquals } from "@std/assert";
import { Device, dryGpu } from "../../../engine/mod.ts";
import { variantOf } from "../../../kernels/shared/variants.ts";

Deno.test("variantOf() chooses by size: by default, or by what was measured", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const chosen = () => [1, 127, 128, 5000].map((size) => variantOf(device, "matrix tile", size));
  assertEquals(chosen(), ["small", "small", "large", "large"]);
  device.tuning = { "matrix tile": [[0, "small"], [5000, "large"]] };
  assertEquals(chosen(), ["small", "small", "small", "large"]);
});

Deno.test("variantOf() takes the first variant where nothing is known", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  assertEquals(variantOf(device, "matmul_texture rows", 1000), "8");
});

Deno.test("variantOf() logs its reason", async () => {
  const lines: string[] = [];
  const debug = { level: 3, log: (line: string) => lines.push(line) };
  using device = await Device.open({ gpu: dryGpu(), debug });
  for (const size of [7, 8, 200]) variantOf(device, "matrix tile", size);
  device.tuning = { "matmul": [[0, "tiles"]] };
  variantOf(device, "matmul", 3);
  assertEquals(lines, [
    "matrix tile: small (7 large tiles, by default)",
    "matrix tile: large (200 large tiles, by default)",
    "matmul: tiles (3 rows with guidance, as measured here)",
  ]);
});
