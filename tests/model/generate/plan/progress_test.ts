import { assertEquals } from "@std/assert";
import { defineKernel, Device, dryGpu } from "../../../../engine/mod.ts";
import { reporter } from "../../../../model/generate/plan/progress.ts";

const kernel = defineKernel(
  "nothing",
  `struct Params { zero: u32 }
  @group(0) @binding(0) var<uniform> params: Params;
  @compute @workgroup_size(1) fn main() {}`,
  [],
  ["zero"],
);

/** Reports scales of so many operations, and returns after which of them it waited. */
async function waits(kind: "cpu" | "gpu", scales: readonly number[]): Promise<number[]> {
  using device = await Device.open({ gpu: dryGpu(), class: kind });
  let count = 0;
  const { queue } = device.gpu;
  const done = queue.onSubmittedWorkDone.bind(queue);
  queue.onSubmittedWorkDone = () => (count++, done());
  let reports = 0;
  const report = reporter(device, scales.length, { onProgress: () => reports++ });
  const waited: number[] = [];
  for (const [s, flops] of scales.entries()) {
    device.run(kernel, { bind: {}, params: { zero: 0 }, workgroups: [1], work: { flops } });
    const before = count;
    await report("scale", s, 1, 1);
    if (count > before) waited.push(s);
  }
  assertEquals(reports, scales.length);
  return waited;
}

Deno.test("reporter() waits for a GPU once enough work has gathered, and for a CPU always", async () => {
  const scales = [1e9, 6e11, 5e11, 1e9, 3e12, 1e9];
  assertEquals(await waits("gpu", scales), [2, 4]);
  assertEquals(await waits("cpu", scales), [0, 1, 2, 3, 4, 5]);
});
