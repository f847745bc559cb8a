import { assert, assertEquals, assertRejects } from "@std/assert";
import { defineKernel, Device, dryGpu, endCompilations } from "../../engine/mod.ts";
import { InfinityModel } from "../../mod.ts";
import { DAWN } from "../backend.ts";

/**
 * Opens a device that computes nothing, and compiles in parallel as Dawn does. `compile` is called for each pipeline.
 */
async function parallel(compile: () => Promise<unknown> = () => Promise.resolve({})) {
  const device = await Device.open({ gpu: dryGpu() });
  Object.assign(device, { capabilities: { ...device.capabilities, implementation: "dawn" } });
  const calls = { async: 0, sync: 0, running: 0, most: 0 };
  Object.assign(device.gpu, {
    createComputePipelineAsync: async () => {
      calls.async++;
      calls.most = Math.max(calls.most, ++calls.running);
      return await compile().finally(() => calls.running--);
    },
    createComputePipeline: () => ({ made: ++calls.sync }),
  });
  return { device, calls };
}

Deno.test("InfinityModel.load() compiles all that a first image needs, at most 12 at a time", async () => {
  const compile = () => new Promise((resolve) => setTimeout(resolve, 2, {}));
  const { device, calls } = await parallel(compile);
  using model = await InfinityModel.load(undefined, { device, type: "f16" });
  const { pipelines } = device.counters;
  const { sync } = calls;
  assert(calls.async > 20 && calls.most > 1 && calls.most <= 12, JSON.stringify(calls));
  await model.generate("red apple");
  assertEquals(device.counters.pipelines, pipelines);
  assertEquals(calls.sync, sync);
  device.dispose();
});

Deno.test("InfinityModel.load() leaves what cannot be compiled ahead to its first use", async () => {
  const { device, calls } = await parallel(() => Promise.reject(new Error("no pipeline")));
  using model = await InfinityModel.load(undefined, { device });
  assert(calls.async > 20);
  const { sync } = calls;
  await model.generate("red apple");
  assert(calls.sync > sync);
  device.dispose();
});

Deno.test("InfinityModel.load() compiles nothing ahead if lazy, and starts nothing more once it fails", async () => {
  const { device, calls } = await parallel(() => new Promise((done) => setTimeout(done, 100, {})));
  using _lazy = await InfinityModel.load(undefined, { device, lazy: true });
  assertEquals(calls, { async: 0, sync: 0, running: 0, most: 0 });
  const file = new URL("../../assets/models/emoji-nano/", import.meta.url);
  const config = { ..._lazy.config, files: { ..._lazy.config.files, vae: "missing.safetensors" } };
  await assertRejects(() => InfinityModel.load(file, { device, config }));
  await new Promise((resolve) => setTimeout(resolve, 300)); // those that were started end
  assert(calls.async <= 12, `${calls.async} pipelines were compiled`);
  assertEquals(calls.running, 0);
  device.dispose();
});

Deno.test("Device.prepare() stops at an abort", async () => {
  const kernel = defineKernel(
    "nothing",
    `struct Params { zero: u32 }
    @group(0) @binding(0) var<uniform> params: Params;
    @compute @workgroup_size(1) fn main() {}`,
    [],
    ["zero"],
  );
  const stop = new AbortController();
  const { device, calls } = await parallel(() => Promise.resolve(stop.abort()));
  using rehearsal = device.rehearsal();
  for (let A = 0; A < 50; A++) {
    rehearsal.run(kernel, { specialise: { A }, bind: {}, params: { zero: 0 }, workgroups: [1] });
  }
  await device.prepare(rehearsal, stop.signal);
  assert(calls.async <= 12, `${calls.async} of 50 were started`);
  device.dispose();
});

const NEED = DAWN ? "" : " (skipped: only Dawn compiles in parallel)";

Deno.test({
  name: `Images of prepared pipelines equal those of others${NEED}`,
  ignore: !DAWN,
  fn: async () => {
    const rgba: Uint8Array[] = [];
    const before: number[] = [];
    for (const lazy of [false, true]) {
      using model = await InfinityModel.load(undefined, { lazy });
      before.push(model.device.counters.pipelines);
      const { images } = await model.generate({ prompt: "red apple", seed: 3 });
      rgba.push(images[0].rgba);
      if (!lazy) assertEquals(model.device.counters.pipelines, before[0], "all were ready");
    }
    assertEquals(rgba[0], rgba[1]);
    assert(before[0]! > 20 && before[1] === 0, `${before}`);
  },
});

// the last test of the file: afterwards nothing compiles in the background
Deno.test("endCompilations() waits for what is compiled in the background, and starts nothing more", async () => {
  const { device, calls } = await parallel(() => new Promise((done) => setTimeout(done, 50, {})));
  const loading = InfinityModel.load(undefined, { device });
  while (calls.async === 0) await new Promise((resolve) => setTimeout(resolve));
  const { async: started } = calls;
  await endCompilations();
  assertEquals(calls.running, 0);
  using _model = await loading;
  assert(started <= 12 && calls.async === started, JSON.stringify(calls));
  device.dispose();
});
