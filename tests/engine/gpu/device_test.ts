import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  defineKernel,
  Device,
  DeviceError,
  grid,
  KernelError,
  OutOfMemoryError,
  TEXTURE_WIDTH,
  type Work,
} from "../../../engine/mod.ts";
import { device } from "../../harness.ts";

const SOURCE = `
struct Params {
  count: u32,
  factor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) { y[id.x] = f32(x[id.x]) * params.factor + OFFSET; }
}`;
const scale = defineKernel("scale", SOURCE, ["x", "y"], ["count", "factor"]);

Deno.test("Device.open() reports what the adapter granted", () => {
  const { capabilities } = device;
  assert(capabilities.adapter.length > 0);
  assert(["cpu", "gpu"].includes(capabilities.class));
  const own = /llvmpipe|swiftshader/i.test(capabilities.adapter) ? "cpu" : "gpu";
  assertEquals(capabilities.class, Deno.env.get("BITWISE_CLASS") ?? own);
  assert(capabilities.limits.maxStorageBufferBindingSize! >= 128 * 1024 * 1024);
  assertEquals(capabilities.f16, device.gpu.features.has("shader-f16"));
});

Deno.test("Device.open() says what to install where there is no adapter", async () => {
  const gpu = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
  const error = await assertRejects(() => Device.open({ gpu }), DeviceError);
  assertEquals(error.code, "no-adapter");
  assert(error.message.includes("mesa-vulkan-drivers") && !error.message.includes("\n"));
});

Deno.test("Device.run() runs dispatches in order, in one submit", async () => {
  const x = device.from("f32", [5], Float32Array.of(1, 2, 3, 4, 5));
  const [a, b] = [device.tensor("f32", [5]), device.tensor("f32", [5])];
  const before = device.counters;
  for (const [from, to, factor] of [[x, a, 2], [a, b, 10], [b, a, 0.5]] as const) {
    device.run(scale, {
      specialise: { T: "f32", OFFSET: 1 },
      bind: { x: from, y: to },
      params: { count: 5, factor },
      workgroups: [1],
    });
  }
  assertEquals(await device.read(a), Float32Array.of(16.5, 26.5, 36.5, 46.5, 56.5));
  assertEquals(device.counters.submits - before.submits, 1);
  assertEquals(device.counters.dispatches - before.dispatches, 3);
  assertEquals(device.counters.pipelines - before.pipelines, 1, "one specialisation, one pipeline");
  for (const t of [x, a, b]) t.dispose();
});

Deno.test("Device.run() runs each of two kernels that share a name", async () => {
  const kernels = [2, 10].map((factor) =>
    defineKernel("times", SOURCE.replace("params.factor", `${factor}`), ["x", "y"], [
      "count",
      "factor",
    ])
  );
  using x = device.from("f32", [2], Float32Array.of(1, 2));
  using y = device.tensor("f32", [2]);
  const results: unknown[] = [];
  for (const kernel of kernels) {
    device.run(kernel, {
      specialise: { T: "f32", OFFSET: 0 },
      bind: { x, y },
      params: { count: 2, factor: 0 },
      workgroups: [1],
    });
    results.push(await device.read(y));
  }
  assertEquals(results, [Float32Array.of(2, 4), Float32Array.of(10, 20)]);
});

Deno.test("Device.run() specialises with aliases, f16 included", async () => {
  const x = device.from("f16", [3], Float16Array.of(0.5, -2, 7));
  const y = device.tensor("f32", [3]);
  device.run(scale, {
    specialise: { T: "f16", OFFSET: 0.25 },
    bind: { x, y },
    params: { count: 3, factor: 3 },
    workgroups: [1],
  });
  assertEquals(await device.read(y), Float32Array.of(1.75, -5.75, 21.25));
  x.dispose();
  y.dispose();
});

Deno.test("Device.run() keeps the parameters of thousands of dispatches apart", async () => {
  const x = device.from("f32", [1], Float32Array.of(1));
  const tensors = Array.from({ length: 3000 }, () => device.tensor("f32", [1]));
  tensors.forEach((y, factor) =>
    device.run(scale, {
      specialise: { T: "f32", OFFSET: 0 },
      bind: { x, y },
      params: { count: 1, factor },
      workgroups: [1],
    })
  );
  const read = await device.readAll(tensors);
  read.forEach((data, i) => assertEquals(data[0], i));
  for (const t of [x, ...tensors]) t.dispose();
});

Deno.test("Device.allOrNothing() keeps what was made, or disposes it if the rest fails", () => {
  const before = device.memory.liveBytes;
  const kept = device.allOrNothing(() => device.tensor("f32", [64]));
  assertEquals(device.memory.liveBytes, before + 256);
  assertThrows(
    () =>
      device.allOrNothing(() => {
        device.tensor("f32", [64]).dispose();
        const row = device.allOrNothing(() => device.tensor("f32", [4 * TEXTURE_WIDTH]));
        device.texture(row);
        device.stage(row);
        device.tensor("f32", [2 ** 40], "moon");
      }),
    OutOfMemoryError,
    "Cannot allocate moon: it needs 4.4 TB",
  );
  assertEquals(device.memory.liveBytes, before + 256);
  kept.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("Device.run() needs nothing bound where a specialisation neither reads nor writes", async () => {
  const source = `
struct Params { factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> d: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main() {
  if (ALL) { c[0] = a[0]; d[0] = b[0]; }
  y[0] = params.factor;
}`;
  const kernel = defineKernel("optional", source, ["a", "b", "c", "d", "y"], ["factor"]);
  const y = device.tensor("f32", [1]);
  const bind = { a: null, b: null, c: null, d: null, y };
  device.run(kernel, { specialise: { ALL: false }, bind, params: { factor: 7 }, workgroups: [1] });
  assertEquals([...await device.read(y)], [7]);
  y.dispose();
});

Deno.test("Device.run() drops a dispatch of no workgroups", () => {
  const before = device.counters.dispatches;
  const y = device.tensor("f32", [4]);
  device.run(scale, {
    specialise: { T: "f32", OFFSET: 0 },
    bind: { x: null, y },
    params: { count: 0, factor: 1 },
    workgroups: [0],
  });
  assertEquals(device.counters.dispatches, before);
  y.dispose();
});

Deno.test("Device.read() throws the error that the GPU reported, with the reason", async () => {
  using broken = await Device.open();
  const kernel = defineKernel("broken", SOURCE.replace("params.factor", "nonsense"), ["x", "y"], [
    "count",
    "factor",
  ]);
  const y = broken.tensor("f32", [4]);
  broken.run(kernel, {
    specialise: { T: "f32", OFFSET: 0 },
    bind: { x: null, y },
    params: { count: 1, factor: 1 },
    workgroups: [1],
  });
  const error = await assertRejects(() => broken.read(y), DeviceError);
  assert(error.message.includes("nonsense"), error.message);
  assert(!error.message.includes("\n"), error.message);
});

const BROKEN = defineKernel("broken", SOURCE.replace("params.factor", "nonsense"), ["x", "y"], [
  "count",
  "factor",
]);

/** Doubles a number. */
async function double(device: Device, kernel = scale): Promise<unknown> {
  await using _work = device.begin();
  using x = device.from("f32", [1], Float32Array.of(21));
  using y = device.tensor("f32", [1]);
  const specialise = { T: "f32", OFFSET: 0 };
  const params = { count: 1, factor: 2 };
  device.run(kernel, { specialise, bind: { x, y }, params, workgroups: [1] });
  return await device.read(y);
}

Deno.test("Device.begin() lets the next work succeed after an error of the GPU, once all work has ended", async () => {
  using own = await Device.open();
  assertEquals(await double(own), Float32Array.of(42));
  const { pipelines } = own.counters;
  for (let i = 0; i < 2; i++) {
    await assertRejects(() => double(own, BROKEN), DeviceError, "nonsense");
    assertEquals([own.memory.liveBytes, own.memory.pooledBytes], [0, 0]);
    assertEquals(await double(own), Float32Array.of(42));
  }
  assertEquals(own.counters.pipelines, pipelines + 2, "what worked before stays compiled");
  {
    await using _other = own.begin();
    await assertRejects(() => double(own, BROKEN), DeviceError, "nonsense");
    // what it dropped may be this work's
    await assertRejects(() => double(own), DeviceError, "nonsense");
    assertThrows(() => own.tensor("f32", [1]), DeviceError, "nonsense");
  }
  assertEquals(await double(own), Float32Array.of(42));
});

Deno.test("Device.run() and its like take what WebGPU throws for an error that the GPU reported", async () => {
  using own = await Device.open();
  assertEquals(await double(own), Float32Array.of(42));
  const { createCommandEncoder } = own.gpu;
  own.gpu.createCommandEncoder = () => {
    own.gpu.createCommandEncoder = createCommandEncoder;
    throw new TypeError("no\n  encoder");
  };
  const error = await assertRejects(() => double(own), DeviceError);
  assertEquals([error.code, error.message, (error.cause as Error).name], [
    "gpu-error",
    "The GPU refused work: no encoder",
    "TypeError",
  ]);
  assertEquals(await double(own), Float32Array.of(42));
});

Deno.test("Device.dispose() leaves a device that says so", async () => {
  const own = await Device.open();
  const tensor = own.from("f32", [1], Float32Array.of(1));
  own.dispose();
  own.dispose();
  const message = "Cannot use a disposed device: open it again";
  assertThrows(() => own.begin(), DeviceError, message);
  assertThrows(() => own.tensor("f32", [1]), DeviceError, message);
  await assertRejects(() => own.read(tensor), DeviceError, message);
  tensor.dispose();
  assertEquals(own.memory.liveBytes, 0);
});

Deno.test("defineKernel() refuses a launcher that disagrees with its WGSL", () => {
  assertThrows(
    () => defineKernel("scale", SOURCE, ["y", "x"], ["count", "factor"]),
    KernelError,
    "Kernel scale: bindings in WGSL are x,y, the launcher names y,x",
  );
  assertThrows(
    () => defineKernel("scale", SOURCE, ["x", "y"], ["count"]),
    KernelError,
    "params in WGSL are count,factor",
  );
});

Deno.test("Memory counts live and peak bytes, and frees everything", async () => {
  using own = await Device.open();
  const { memory } = own;
  assertEquals(memory.liveBytes, 0);
  const a = own.tensor("f32", [1000]);
  const one = memory.liveBytes;
  assert(one >= 4000);
  const b = own.tensor("f16", [1000, 3]);
  const peak = memory.liveBytes;
  assert(peak >= one + 6000);
  a.dispose();
  a.dispose();
  b.dispose();
  assertEquals(memory.liveBytes, 0);
  assertEquals(memory.peakBytes, peak);
  assertEquals(memory.pooledBytes, peak);
  const again = own.tensor("f32", [990]);
  assertEquals(memory.pooledBytes, peak - one, "a freed buffer is used again");
  again.dispose();
  memory.trim();
  assertEquals(memory.pooledBytes, 0);
});

Deno.test("Device.tensor() and Device.texture() account for memory by role", async () => {
  using own = await Device.open();
  const live = { weights: 0, cache: 0, workspace: 0 };
  own.memory.observer = (role, bytes) => live[role] += bytes;
  const cache = own.tensor("f32", [64], "keys", "cache");
  const rows = own.tensor("f32", [4096], "rows");
  const texture = own.texture(rows, undefined, "packed", "weights");
  assertEquals(live, { weights: 16384, cache: 256, workspace: 16384 });
  for (const item of [cache, rows, texture]) item.dispose();
  assertEquals(live, { weights: 0, cache: 0, workspace: 0 });
});

Deno.test("Device.tensor() names the tensor and the bytes where they do not fit", () => {
  const error = assertThrows(
    () => device.tensor("f32", [2 ** 20, 2 ** 14], "KV cache"),
    OutOfMemoryError,
  );
  assert(/KV cache.*69 GB.*a smaller batch/.test(error.message), error.message);
  assertEquals(error.hint, "use-f16");
});

Deno.test("Tensor views share memory and are checked", async () => {
  const t = device.from("f32", [4, 64], Float32Array.from({ length: 256 }, (_, i) => i));
  assertEquals((await device.read(t.rows(2, 1)))[0], 128);
  assertEquals(t.reshape(2, 128).rows(1, 1).byteOffset, 512);
  assertThrows(() => t.reshape(3, 5), KernelError, "Cannot reshape [4,64] to [3,5]");
  assertThrows(() => t.rows(3, 2), KernelError, "Cannot take rows 3..5 of [4,64]");
  const view = t.rows(0, 1);
  view.dispose();
  assertEquals((await device.read(t))[255], 255, "a view does not own the memory");
  t.dispose();
  assertThrows(() => t.buffer, KernelError, "disposed");
  await assertRejects(() => device.read(t), KernelError, "disposed");
});

Deno.test("Device.profile() times kernels where the adapter can", async () => {
  using own = await Device.open();
  const profiler = own.profile();
  if (!own.capabilities.timestamps) {
    assertEquals(profiler, null);
    return;
  }
  const x = own.from("f32", [64], new Float32Array(64));
  const y = own.tensor("f32", [64]);
  const run = (work?: Work) =>
    own.run(scale, {
      specialise: { T: "f32", OFFSET: 0 },
      bind: { x, y },
      params: { count: 64, factor: 1 },
      workgroups: [1],
      work,
    });
  for (let i = 0; i < 3; i++) run({ shape: [8, 8], flops: 128 });
  await own.finish();
  profiler!.section = "second";
  run();
  await own.finish();
  const times = (await profiler!.report()).sort((a, b) => b.count - a.count);
  assert(times.every(({ milliseconds }) => milliseconds > 0));
  assertEquals(times.map(({ milliseconds: _, ...rest }) => rest), [
    { section: "", name: "scale", shape: "8x8", count: 3, flops: 384, bytes: 3 * 512 },
    { section: "second", name: "scale", shape: "", count: 1, flops: 0, bytes: 512 },
  ]);
});

Deno.test("grid() splits beyond one dimension's limit", () => {
  assertEquals(grid(0), [0, 0]);
  assertEquals(grid(1), [1, 1]);
  assertEquals(grid(65535), [65535, 1]);
  const [x, y] = grid(200000);
  assert(x <= 65535 && x * y >= 200000);
});
