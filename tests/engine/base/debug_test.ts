import { assert, assertEquals } from "@std/assert";
import { debugLevel, defineKernel, Device, dryGpu } from "../../../engine/mod.ts";
import { device } from "../../harness.ts";

const kernel = defineKernel(
  "double",
  `struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<T>;
@compute @workgroup_size(1)
fn main() { x[0] *= 2; }`,
  ["x"],
  ["count"],
);

/** Runs a kernel twice at a level, and returns what it logs. */
async function logged(level: number): Promise<string[]> {
  const lines: string[] = [];
  using own = await Device.open({
    gpu: dryGpu(),
    debug: { level, log: (line) => lines.push(line) },
  });
  using x = own.tensor("f32", [1]);
  for (let i = 0; i < 2; i++) {
    own.debug?.variant("double", "only", "there is one");
    own.run(kernel, {
      specialise: { T: "f32" },
      bind: { x },
      params: { count: 1 },
      workgroups: [1],
    });
  }
  return lines;
}

Deno.test("debugLevel() reads a number, and takes another word for 1", () => {
  const cases = { "": 0, "0": 0, "1": 1, "4": 4, "true": 1, "all": 1 };
  for (const [value, level] of Object.entries(cases)) assertEquals(debugLevel(() => value), level);
  assertEquals(debugLevel(() => undefined), 0);
});

Deno.test("Device.debug logs nothing below level 3", async () => {
  for (const level of [0, 1, 2]) assertEquals(await logged(level), []);
});

Deno.test("Device.debug logs each variant once with its reason at level 3", async () => {
  assertEquals(await logged(3), ["double: only (there is one)"]);
});

Deno.test("Device.debug logs the WGSL of each pipeline once at level 4", async () => {
  const [variant, shader, ...rest] = await logged(4);
  assertEquals(variant, "double: only (there is one)");
  assert(/^\/\/ double T=f32\nalias T = f32;[^]*fn main/.test(shader!), shader);
  assertEquals(rest, []);
});

Deno.test("Device.profiler times kernels from level 2 on where the adapter can", async () => {
  using quiet = await Device.open({ debug: { level: 1 } });
  assertEquals(quiet.profiler, null);
  using own = await Device.open({ debug: { level: 2 } });
  assertEquals(own.profiler !== null, device.capabilities.timestamps);
});

Deno.test({
  name: "Profiler.report() frees the buffers of its timestamps",
  ignore: !device.capabilities.timestamps,
  async fn() {
    using own = await Device.open({ debug: { level: 2 } });
    using x = own.from("f32", [1], Float32Array.of(1));
    const made: GPUBuffer[] = [];
    const destroyed: GPUBuffer[] = [];
    const create = own.gpu.createBuffer.bind(own.gpu);
    own.gpu.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        destroyed.push(buffer);
        destroy();
      };
      if (descriptor.usage & (GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.MAP_READ)) {
        made.push(buffer);
      }
      return buffer;
    };
    const specialise = { T: "f32" };
    own.run(kernel, { specialise, bind: { x }, params: { count: 1 }, workgroups: [1] });
    own.flush();
    const times = await own.profiler!.report();
    assertEquals(times.map(({ name, count }) => [name, count]), [["double", 1]]);
    assertEquals([made.length, destroyed], [2, made]);
  },
});

Deno.test("Device.open() prints nothing unless BITWISE_DEBUG asks for it", async () => {
  const engine = new URL("../../../engine/mod.ts", import.meta.url).href;
  const script = `import { defineKernel, Device } from "${engine}";
    using device = await Device.open();
    using x = device.from("f32", [1], Float32Array.of(1));
    const kernel = defineKernel(${JSON.stringify(kernel.name)}, ${
    JSON.stringify(kernel.source)
  }, ["x"], ["count"]);
    device.run(kernel, { specialise: { T: "f32" }, bind: { x }, params: { count: 1 }, workgroups: [1] });
    await device.read(x);`;
  const run = async (variables: Record<string, string>) => {
    const { XDG_RUNTIME_DIR: _, BITWISE_DEBUG: __, ...inherited } = Deno.env.toObject();
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", script],
      env: { ...inherited, DENO_WEBGPU_BACKEND: "vulkan", ...variables },
      clearEnv: true,
    }).output();
    assertEquals(code, 0);
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  assertEquals(await run({}), "");
  assert((await run({ BITWISE_DEBUG: "4" })).includes("// double T=f32\n"));
});
