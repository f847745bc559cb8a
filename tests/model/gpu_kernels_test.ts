// Which kernels a GPU with tensor cores would run, without one: the capabilities are those of an NVIDIA H200.
import { assert, assertEquals } from "@std/assert";
import { dawn, Device, dryGpu } from "../../engine/mod.ts";
import { workgroupVariables } from "../../engine/gpu/workgroup_memory.ts";
import { WEIGHT_TYPES, type WeightType } from "../../kernels/linear/weight_types.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { DAWN } from "../backend.ts";

const PRESET = "infinity-125m";
const config = parseConfig(findPreset(PRESET).config, PRESET);

/** Makes a device choose as on the GPU, through an implementation. */
function pretend(device: Device, implementation: "wgpu" | "dawn"): Device {
  const { capabilities } = device;
  const shape = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  return Object.assign(device, {
    capabilities: {
      ...capabilities,
      class: "gpu",
      implementation,
      f16: true,
      subgroups: true,
      subgroupSize: 32,
      subgroupMatrices: implementation === "dawn" ? [shape] : [],
      limits: { ...capabilities.limits, maxComputeWorkgroupStorageSize: 49152 },
    },
  });
}

async function generate(device: Device, type: WeightType, images = 1): Promise<void> {
  using model = await InfinityModel.synthetic(config, { device, type });
  for (let i = 0; i < images; i++) await model.generate("red apple");
}

for (const implementation of ["wgpu", "dawn"] as const) {
  Deno.test(`An H200 through ${implementation} takes each kernel, and an image after the first makes nothing new`, async () => {
    for (const type of WEIGHT_TYPES) {
      const device = pretend(await Device.open({ gpu: dryGpu() }), implementation);
      let groups = 0;
      device.gpu.createBindGroup = () => ({ made: ++groups }) as unknown as GPUBindGroup;
      using model = await InfinityModel.synthetic(config, { device, type });
      await model.generate("red apple");
      const before = { groups, pipelines: device.counters.pipelines };
      await model.generate("red apple");
      assertEquals({ groups, pipelines: device.counters.pipelines }, before, type);
      device.dispose();
    }
  });
}

const NEED = DAWN ? "" : " (skipped: only Dawn knows such shaders)";

Deno.test({
  name: `Dawn accepts each kernel of an H200, and counts the same workgroup memory${NEED}`,
  ignore: !DAWN,
  fn: async () => {
    const gpu = await dawn({ flags: ["backend=null"] }); // checks shaders, runs nothing
    for (const type of WEIGHT_TYPES) {
      const device = pretend(await Device.open({ gpu }), "dawn");
      const rehearsal = device.rehearsal();
      await generate(rehearsal, type);
      const codes = new Map<GPUShaderModule, string>();
      const { createShaderModule, createComputePipelineAsync } = device.gpu;
      device.gpu.createShaderModule = (descriptor) => {
        const module = createShaderModule.call(device.gpu, descriptor);
        codes.set(module, descriptor.code);
        return module;
      };
      let accepted = 0;
      device.gpu.createComputePipelineAsync = (descriptor) =>
        createComputePipelineAsync.call(device.gpu, descriptor).catch((error: Error) => {
          // this adapter has less workgroup memory than any GPU
          const bytes = /workgroup storage \((\d+) bytes\)/.exec(error.message)?.[1];
          assert(bytes, `${type}: ${error.message}`);
          const variables = workgroupVariables("", codes.get(descriptor.compute.module)!);
          const sum = variables.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 16) * 16, 0);
          assertEquals(sum, Number(bytes), `${type}: ${descriptor.label}`);
          return {} as GPUComputePipeline;
        }).finally(() => accepted++);
      await device.prepare(rehearsal);
      assertEquals(accepted, rehearsal.counters.pipelines);
      assertEquals(
        device.counters.pipelines,
        accepted,
        "each shader passed, and its bytes are those that Dawn counts",
      );
      await device.finish(); // no error was left to it
      for (const each of [rehearsal, device]) each.dispose();
    }
  },
});
