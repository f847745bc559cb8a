import { assertEquals } from "@std/assert";
import { Device, dryGpu } from "../../../engine/mod.ts";
import { variantOf } from "../../../kernels/shared/variants.ts";

Deno.test("variantOf() chooses by size: by default, or by what was measured", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const chosen = () => [1, 127, 128, 5000].map((size) => variantOf(device, "conv2d_matrix", size));
  assertEquals(chosen(), ["middle", "middle", "large", "large"]);
  device.tuning = { "conv2d_matrix": [[0, "middle"], [5000, "large"]] };
  assertEquals(chosen(), ["middle", "middle", "middle", "large"]);
});

Deno.test("variantOf() takes the first variant where nothing is known", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  assertEquals(variantOf(device, "matmul_texture rows", 1000), "8");
});

Deno.test("variantOf() logs its reason", async () => {
  const lines: string[] = [];
  const debug = { level: 3, log: (line: string) => lines.push(line) };
  using device = await Device.open({ gpu: dryGpu(), debug });
  for (const size of [7, 8, 200]) variantOf(device, "conv2d_matrix", size);
  device.tuning = { "matmul": [[0, "tiles"]] };
  variantOf(device, "matmul", 3);
  assertEquals(lines, [
    "conv2d_matrix: middle (7 large tiles, by default)",
    "conv2d_matrix: large (200 large tiles, by default)",
    "matmul: tiles (3 rows with guidance, as measured here)",
  ]);
});
