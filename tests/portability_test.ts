// Whether everything runs on adapters that offer less than a large GPU: fewer features, lower limits, subgroups of no
// fixed size. BITWISE_PROFILE runs any other test on one of them, see reduced_gpu.ts.
import { assert, assertMatch, assertRejects } from "@std/assert";
import { Device, dryGpu, OutOfMemoryError } from "../engine/mod.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";
import { openTensorFile } from "../model/checkpoint/files.ts";
import { parseConfig } from "../model/config/config.ts";
import { findPreset } from "../model/config/presets.ts";
import type { SamplingOptions } from "../model/generate/plan/plan.ts";
import { InfinityModel } from "../model/infinity.ts";
import { NEED_CPU } from "./harness.ts";
import { assertReproduces } from "./model/golden_model.ts";
import { type Profile, PROFILES, reducedGpu } from "./reduced_gpu.ts";
import { NANO } from "./nano.ts";

const expected = await openTensorFile(new URL("expected.safetensors", NANO).pathname);

/** Adapters whose kernels differ for f32. */
const CASES = [
  ["gpu", "default limits"],
  ["gpu", "bare"],
  ["gpu", "subgroups of 8 to 32"],
  ["cpu", "no subgroups"],
  ["cpu", "subgroups of 8 to 32"],
] as const;

for (const [adapter, name] of CASES) {
  const need = adapter === "cpu" ? NEED_CPU : "";
  Deno.test({
    name: `golden: emoji-nano on the kernels of a ${adapter}, ${name}${need}`,
    ignore: need !== "",
    async fn() {
      using device = await Device.open({
        gpu: reducedGpu(navigator.gpu, PROFILES[name]),
        class: adapter,
      });
      using model = await InfinityModel.load(NANO, { device });
      await assertReproduces(model, expected);
    },
  });
}

/** Asserts that a device's limits allow its shaders and dispatches. Returns how to count dispatches. */
function watch({ gpu, capabilities }: Device): () => number {
  const { limits } = capabilities;
  let dispatches = 0;
  const within = (value: number, limit: string, what: string) =>
    assert(value <= limits[limit]!, `${what}: ${value} exceeds ${limit}, ${limits[limit]}`);
  const pass = gpu.createCommandEncoder().beginComputePass(); // there is one
  let running = "";
  pass.setPipeline = (pipeline) => void (running = pipeline.label);
  pass.dispatchWorkgroups = (...counts) => {
    dispatches++;
    for (const count of counts) {
      assert(Number.isInteger(count), `${running}: ${counts} workgroups`);
      within(count!, "maxComputeWorkgroupsPerDimension", running);
    }
  };
  gpu.createComputePipeline = ({ label = "" }) => ({ label }) as GPUComputePipeline;
  gpu.createShaderModule = ({ label = "", code }) => {
    const sizes = /@workgroup_size\(([\w, ]+)\)/.exec(code)![1]!.split(/, */).map((size) =>
      Number(new RegExp(`const ${size} = (\\d+)`).exec(code)?.[1] ?? size)
    );
    const count = sizes.reduce((product, size) => product * size, 1);
    within(count, "maxComputeInvocationsPerWorkgroup", label);
    sizes.forEach((size, i) => within(size, `maxComputeWorkgroupSize${"XYZ"[i]}`, label));
    const buffers = code.match(/var<storage/g)?.length ?? 0;
    within(buffers, "maxStorageBuffersPerShaderStage", label);
    // lanes of unknown number are not to be relied on
    assert(
      capabilities.subgroupSize || !/subgroup[A-Z]|builtin\(subgroup/.test(code),
      `${label} has subgroups`,
    );
    assert(capabilities.f16 || !/enable f16|vec4<f16>/.test(code), `${label} has f16`);
    return {} as GPUShaderModule;
  };
  return () => dispatches;
}

/** Generates on a device that computes nothing, and checks what it would. Returns its dispatches. */
async function generateDry(
  profile: Profile,
  preset: string,
  type: WeightType,
  options: SamplingOptions,
): Promise<number> {
  const config = parseConfig(findPreset(preset).config, preset);
  using device = await Device.open({ gpu: reducedGpu(dryGpu(), profile), class: "gpu" });
  const dispatches = watch(device);
  using model = await InfinityModel.synthetic(config, { device, type });
  await model.generate("red apple", options);
  return dispatches();
}

/** Fixed sizes of subgroups: of some CPUs, older Mali, Intel's least, NVIDIA and Apple, AMD's GCN, Adreno. */
const SIZES = [4, 8, 16, 32, 64, 128].map((lanes): [string, Profile] => [
  `subgroups of ${lanes}`,
  { subgroupSizes: [lanes, lanes] },
]);

for (const [name, profile] of [...Object.entries<Profile>(PROFILES), ...SIZES]) {
  Deno.test(`A GPU with ${name} takes kernels that it can run`, async () => {
    const lacks = profile.without?.includes("shader-f16");
    for (const type of WEIGHT_TYPES.filter((type) => type !== "f16" || !lacks)) {
      const size = { width: 512, height: 512 };
      assert(await generateDry(profile, "infinity-125m", type, size) > 1000);
    }
  });
}

Deno.test("The largest model and the largest images take no more workgroups than a dispatch may", async () => {
  const large = [1, 2, 4, 8, 16, 32, 64, 128].map((side) => [side, side] as const);
  await generateDry({}, "infinity-8b", "f16", { width: 1024, height: 1024 });
  await generateDry({}, "infinity-125m", "f16", { schedule: large }); // 2048 × 2048
});

Deno.test("Infinity-2B makes 1024 × 1024 by bindings of 128 MiB with f16; what does not fit says what to do", async () => {
  const { "default limits": limited, bare } = PROFILES;
  const size = { width: 1024, height: 1024 };
  await generateDry(limited, "infinity-2b", "f16", size);
  const refused = (...[profile, preset]: [Profile, string]) =>
    assertRejects(() => generateDry(profile, preset, "q8_0", size), OutOfMemoryError);
  const [noHalves, tooLarge] = [
    await refused(bare, "infinity-2b"),
    await refused(limited, "infinity-8b"),
  ];
  for (const { message } of [noHalves, tooLarge]) assertMatch(message, /holds 134 MB/);
  assertMatch(noHalves.message, /; try a smaller size or a smaller batch$/);
  assertMatch(tooLarge.message, /; use a smaller model$/);
});
