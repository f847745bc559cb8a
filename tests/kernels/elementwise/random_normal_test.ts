import { assert, assertEquals } from "@std/assert";
import { randomNormal } from "../../../kernels/elementwise/random_normal.ts";
import { device, poisoned } from "../harness.ts";

Deno.test("randomNormal() gives normal numbers of the given mean and deviation", async () => {
  for (const [count, mean, deviation] of [[100_001, 0, 1], [40_000, -3, 0.02]] as const) {
    const y = poisoned("f32", [count]);
    randomNormal(device, { y, key: 7, mean, deviation });
    const z = Array.from(await device.read(y) as Float32Array).map((v) => (v - mean) / deviation);
    const moment = (p: number) => z.reduce((sum, v) => sum + v ** p, 0) / count;
    // four standard errors of each moment of N(0, 1)
    for (const [p, expected, variance] of [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96]] as const) {
      const error = Math.abs(moment(p) - expected);
      assert(error < 4 * Math.sqrt(variance / count), `moment ${p}: ${moment(p)}`);
    }
    const beyond = z.filter((v) => Math.abs(v) > 2).length / count;
    assert(Math.abs(beyond - 0.0455) < 0.005, `beyond two deviations: ${beyond}`);
  }
});

Deno.test("randomNormal() writes nothing beyond a view that ends within a vec4", async () => {
  const y = poisoned("f32", [8]);
  randomNormal(device, { y: y.rows(0, 5), key: 7 });
  const written = Array.from(await device.read(y), (v) => !Number.isNaN(v));
  assertEquals(written, [true, true, true, true, true, false, false, false]);
});

Deno.test("randomNormal() depends only on its key and on the index", async () => {
  const fill = async (key: number, count: number) => {
    const y = poisoned("f32", [count]);
    randomNormal(device, { y, key });
    return Array.from(await device.read(y) as Float32Array);
  };
  const long = await fill(1, 513);
  assertEquals(await fill(1, 5), long.slice(0, 5));
  const other = await fill(2, 513);
  assert(other.every((v, i) => v !== long[i]));
  // neighbours are not correlated
  const product = long.slice(1).reduce((sum, v, i) => sum + v * long[i]!, 0) / 512;
  assert(Math.abs(product) < 4 / Math.sqrt(512), `correlation ${product}`);
});
