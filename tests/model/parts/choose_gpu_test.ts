import { assertEquals } from "@std/assert";
import { chooseGpu, type Implementations } from "../../../model/parts/choose_gpu.ts";
import { dryGpu } from "../../../engine/mod.ts";

const F16 = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };

/** An implementation whose adapter has these shapes, subgroups of 32 to `most` lanes and `room` for a workgroup. */
function withMatrices(
  shapes: readonly typeof F16[],
  features = ["shader-f16", "subgroups"],
  most = 32,
  room = 49152,
): GPU {
  const sizes = { subgroupMinSize: 32, subgroupMaxSize: most };
  const info = { description: "test card", subgroupMatrixConfigs: shapes, ...sizes };
  const matrices = shapes.length ? ["chromium-experimental-subgroup-matrix"] : [];
  const limits = {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: room,
  };
  const adapter = { features: new Set([...features, ...matrices]), limits, info };
  return { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
}

const READY: Implementations = {
  own: dryGpu(),
  obstacle: () => null,
  load: () => Promise.resolve(withMatrices([F16])),
};

/** The name and the reason of a choice. */
async function choice(
  changes: Partial<Implementations> = {},
  type: Parameters<typeof chooseGpu>[0] = "f16",
): Promise<string> {
  const { name, reason } = await chooseGpu(type, { ...READY, ...changes });
  return `${name}: ${reason}`;
}

/** Fails if Dawn is loaded. */
const load = () => Promise.reject(new Error("loaded"));

Deno.test("chooseGpu() chooses Dawn where it reaches tensor cores, for every type but f32", async () => {
  for (const type of ["f16", "q8_0", "q4_0"] as const) {
    assertEquals(await choice({}, type), "dawn: f16 on tensor cores of test card");
  }
  assertEquals(await choice({ load }, "f32"), "wgpu: f32 weights are multiplied exactly");
});

Deno.test("chooseGpu() does not load Dawn for a CPU, or where it would have to ask or download", async () => {
  const own = dryGpu(true);
  assertEquals(await choice({ own, load }), "wgpu: software dry run is a software adapter");
  const obstacle = () => "Dawn is not installed";
  assertEquals(await choice({ obstacle, load }), "wgpu: Dawn is not installed");
  assertEquals(await choice({ load }), "wgpu: loaded");
});

Deno.test("chooseGpu() stays with wgpu where Dawn finds no tensor cores for f16", async () => {
  const none = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
  const other = { ...F16, resultComponentType: "f16" };
  const lacking = [
    withMatrices([]),
    withMatrices([other]),
    withMatrices([F16], ["subgroups"]),
    withMatrices([F16], undefined, 64), // kernels need subgroups of a fixed size
    withMatrices([F16], undefined, 32, 16384), // and room for their tiles
    withMatrices([{ ...F16, K: 12 }]), // which matrices must divide
    dryGpu(),
  ];
  for (const gpu of lacking) {
    assertEquals(
      await choice({ load: () => Promise.resolve(gpu) }),
      "wgpu: Dawn finds no tensor cores for f16",
    );
  }
  assertEquals(
    await choice({ load: () => Promise.resolve(none) }),
    "wgpu: Dawn accepts no adapter of this machine",
  );
});

Deno.test("chooseGpu() uses Dawn also where Deno's own finds no adapter", async () => {
  assertEquals((await chooseGpu("f16", { ...READY, own: undefined })).name, "dawn");
});
