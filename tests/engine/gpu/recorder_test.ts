import { Recorder } from "../../../engine/gpu/recorder.ts";
import { assertEquals, assertThrows } from "@std/assert";
import {
  defineKernel,
  Device,
  dryGpu,
  KernelError,
  type Tensor,
  type Work,
} from "../../../engine/mod.ts";

const kernel = defineKernel(
  "copy",
  `struct Params { count: u32, factor: f32, shift: i32 }
  @group(0) @binding(0) var<uniform> params: Params;
  @group(0) @binding(1) var<storage, read> x: array<T>;
  @group(0) @binding(2) var<storage, read_write> y: array<T>;
  @compute @workgroup_size(1) fn main() {}`,
  ["x", "y"],
  ["count", "factor", "shift"],
);

/** Opens a device that computes nothing, and counts the calls of some of its methods. */
async function counting(...methods: (keyof GPUDevice)[]) {
  const device = await Device.open({ gpu: dryGpu() });
  const calls = Object.fromEntries(methods.map((name) => [name, 0]));
  const gpu = device.gpu as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of methods) {
    const method = gpu[name]!;
    gpu[name] = (...args) => {
      calls[name]!++;
      return method(...args);
    };
  }
  return { device, calls };
}

function copy(
  device: Device,
  x: Tensor,
  y: Tensor,
  T: "f32" | "u32" = "f32",
  work: Work = {},
): void {
  const params = { count: 1, factor: 0.5, shift: -1 };
  device.run(kernel, { specialise: { T }, bind: { x, y }, params, workgroups: [1], work });
}

Deno.test("Device.run() makes a bind group once, also for views from the same element on", async () => {
  const { device, calls } = await counting("createBindGroup");
  const [x, y] = [device.tensor("f32", [64, 64]), device.tensor("f32", [64, 64])];
  copy(device, x, y);
  copy(device, x.reshape(4096), y.rows(0, 64));
  copy(device, x, y, "u32");
  device.flush();
  copy(device, x, y);
  assertEquals(calls.createBindGroup, 1);
  copy(device, y, x);
  copy(device, x.rows(0, 32), y.rows(0, 16)); // as x and y
  copy(device, y.rows(0, 1), x);
  assertEquals(calls.createBindGroup, 2);
  copy(device, x.rows(32, 32), y);
  assertEquals(calls.createBindGroup, 3);
  device.dispose();
});

Deno.test("Device.tensor() gives a repeated sequence the same buffers, so that it finds its bind groups", async () => {
  const { device, calls } = await counting("createBindGroup", "createBuffer");
  const sequence = () => {
    const a = device.tensor("f32", [256]);
    const b = device.tensor("f32", [256]);
    copy(device, a, b);
    a.dispose();
    const [c, d] = [device.tensor("f32", [256]), device.tensor("f32", [256])];
    copy(device, b, c);
    copy(device, c, d);
    for (const tensor of [d, b, c]) tensor.dispose();
  };
  copy(device, device.tensor("f32", [4]), device.tensor("f32", [4])); // makes what all dispatches share
  device.trim();
  calls.createBindGroup = calls.createBuffer = 0;
  sequence();
  const first = { ...calls };
  for (let i = 0; i < 3; i++) sequence();
  assertEquals(calls, first);
  device.trim(); // its groups are forgotten with the buffers
  sequence();
  assertEquals(calls, { createBindGroup: 2 * first.createBindGroup!, createBuffer: 6 });
  device.dispose();
});

Deno.test("Device.run() compiles once for each text", async () => {
  const { device, calls } = await counting("createComputePipeline");
  const x = device.tensor("f32", [4]);
  const run = (specialise: Record<string, string | number>, functions?: string) =>
    device.run(kernel, {
      specialise,
      functions,
      bind: { x, y: null },
      params: { count: 1, factor: 1, shift: 0 },
      workgroups: [1],
    });
  const texts: Parameters<typeof run>[] = [
    [{ T: "f32" }],
    [{ T: "f32", A: 1 }],
    [{ T: "f32", A: 2 }],
    [{ T: "f32", A: 1, B: 1 }],
    [{ T: "f32" }, "fn f() {}"],
  ];
  for (const text of [...texts, ...texts.reverse()]) run(...text);
  assertEquals(calls.createComputePipeline, texts.length);
  assertEquals(device.counters.pipelines, texts.length);
  device.dispose();
});

Deno.test("Device.run() submits before parameters or commands are too many", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const y = device.tensor("f32", [4]);
  for (let i = 0; i < 2500; i++) copy(device, y, y);
  assertEquals(device.counters.submits, 2);
  device.flush();
  device.flush();
  assertEquals(device.counters, { dispatches: 2500, flops: 0, submits: 3, pipelines: 1 });
});

Deno.test("Device.run() submits before the work is too much for a slow GPU", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const y = device.tensor("f32", [4]);
  for (const flops of [4e11, 4e11, 4e11, 3e12, 1e11]) copy(device, y, y, "f32", { flops });
  assertEquals(device.counters.submits, 3, "of 0.8, 0.4 and 3 TFLOP");

  const shape = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  const capabilities = { ...device.capabilities, subgroupMatrices: [shape] };
  const recorder = new Recorder(device.gpu, { capabilities }, null);
  const params = { count: 1, factor: 0.5, shift: -1 };
  for (const flops of [3e12, 4e12, 3e12]) {
    const how = { specialise: { T: "f32" }, params, workgroups: [1] as const, work: { flops } };
    recorder.dispatch(kernel, { ...how, bind: { x: y, y } });
  }
  assertEquals(recorder.submits, 1, "of 7 TFLOP, where there are tensor cores");
});

Deno.test("Device.run() binds two views of one tensor without an overlap", async () => {
  using device = await Device.open();
  const move = defineKernel(
    "move",
    `struct Params { count: u32 }
    @group(0) @binding(0) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read_write> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
      if (i < params.count) { y[i] = x[i]; }
    }`,
    ["x", "y"],
    ["count"],
  );
  const t = device.from("f32", [3, 64], Float32Array.from({ length: 192 }, (_, i) => i));
  for (const [from, to] of [[0, 2], [2, 1]] as const) {
    const bind = { x: t.rows(from, 1), y: t.rows(to, 1) };
    device.run(move, { bind, params: { count: 64 }, workgroups: [1] });
  }
  const row = Array.from({ length: 64 }, (_, i) => i);
  assertEquals([...await device.read(t)], [...row, ...row, ...row]);
});

Deno.test("Device.run() refuses floats of another size than the kernel takes", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const [x, y] = [device.tensor("f16", [4]), device.tensor("f32", [4])];
  assertThrows(
    () => copy(device, x, y),
    KernelError,
    "Cannot bind f16 to x of copy, which takes f32",
  );
  assertThrows(
    () => copy(device, y, x),
    KernelError,
    "Cannot bind f16 to y of copy, which takes f32",
  );
  copy(device, x, y, "u32"); // bits of anything
  assertEquals(device.counters.dispatches, 1);
});
