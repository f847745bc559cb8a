import { assertEquals, assertThrows } from "@std/assert";
import { defineKernel, Device, dryGpu, KernelError } from "../../../engine/mod.ts";
import { checkWorkgroupMemory, workgroupVariables } from "../../../engine/gpu/workgroup_memory.ts";

/** The bytes of variables in workgroup memory, by name. */
function count(code: string): Record<string, number> {
  return Object.fromEntries(
    workgroupVariables("k", code).map(({ name, bytes }) => [name, bytes]),
  );
}

/** The bytes of one variable of a type, after `prelude`. */
function bytesOf(type: string, prelude = ""): number {
  return count(`${prelude}\nvar<workgroup> v: ${type};`).v!;
}

Deno.test("workgroupVariables() counts scalars, vectors and matrices", () => {
  const sizes = {
    f32: 4,
    u32: 4,
    f16: 2,
    "vec2<f16>": 4,
    "vec3<f32>": 12,
    vec4f: 16,
    "vec4<f16>": 8,
    vec4h: 8,
    "mat4x4<f32>": 64,
    mat2x3f: 32,
    "mat3x2<f16>": 12,
    "atomic<u32>": 4,
    "array<vec3<i32>, 5>": 80,
    "array<array<f32, 3>, 2>": 24,
    "array<vec4<f16>, 4,>": 32,
  };
  assertEquals(Object.fromEntries(Object.keys(sizes).map((type) => [type, bytesOf(type)])), sizes);
});

Deno.test("workgroupVariables() evaluates lengths, and finds aliases and structs", () => {
  const prelude = `
    const WG = 128u; const HALF: u32 = WG / 2u; // const WG = 1;
    const SIZE = max(WG, 0x20) % 100 + (3 - 1) * 2 - -1; const FLOAT = 0.5;
    alias Row = array<vec4<f32>, HALF / 3>;
    struct Item { a: f16, b: vec3<f32>, c: array<u32, 2>, }
    fn f() -> u32 { const SIZE = 1; if (true) { return SIZE; } return 2; }`;
  assertEquals(bytesOf("array<f32, SIZE>", prelude), 33 * 4);
  assertEquals(bytesOf("Row", prelude), 21 * 16);
  assertEquals(bytesOf("array<array<Row, 2>, min(WG, 4)>", prelude), 8 * 21 * 16);
  assertEquals(bytesOf("Item", prelude), 48); // 0, 16 and 28, rounded up to 16
  assertEquals(bytesOf("array<Item, u32(2)>", prelude), 96);
});

Deno.test("workgroupVariables() counts variables of workgroup memory alone, comments apart", () => {
  const code = `
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    var<private> lane: u32;
    var<workgroup> a: u32; /* var<workgroup> b: u32; */
    // var<workgroup> c: u32;
    var<workgroup> d: array<f32, 4>;
    fn main() { var e: array<f32, 8>; }`;
  assertEquals(count(code), { a: 4, d: 16 });
});

Deno.test("workgroupVariables() refuses what it cannot count", () => {
  for (const type of ["array<f32, LATER>", "array<f32, 1 << 4>", "array<f32, 2.5>", "Missing"]) {
    const error = assertThrows(() => bytesOf(type), KernelError, "cannot count the bytes of v");
    assertEquals(error.code, "bad-kernel");
  }
});

Deno.test("Device.run() refuses a kernel whose variables exceed the adapter's workgroup memory", async () => {
  using device = await Device.open({ gpu: dryGpu() }); // with 32,768 bytes
  const kernel = defineKernel(
    "greedy",
    `struct Params { count: u32 }
    @group(0) @binding(0) var<uniform> params: Params;
    var<workgroup> few: u32;
    var<workgroup> many: array<vec4<f32>, LENGTH>;
    @compute @workgroup_size(1) fn main() { many[0].x = f32(few); }`,
    [],
    ["count"],
  );
  const run = (LENGTH: number) =>
    device.run(kernel, { specialise: { LENGTH }, bind: {}, params: { count: 1 }, workgroups: [1] });
  run(2047); // the variable of 4 bytes takes 16
  assertEquals(
    assertThrows(() => run(2048), KernelError).message,
    "Kernel greedy needs 32784 bytes of workgroup memory, the adapter has 32768",
  );
});

Deno.test("checkWorkgroupMemory() keeps 16 bytes for subgroup matrices, also in constant strides", () => {
  const check = (variable: string, offset: string, stride: string) =>
    checkWorkgroupMemory(
      "k",
      `const PITCH = 5; const EVEN = 2 * PITCH;
      @group(0) @binding(1) var<storage, read> x: array<vec4<f16>>;
      var<workgroup> tile: array<vec4<f16>, 64>;
      ${variable}
      fn main() {
        let a = subgroupMatrixLoad<Left, row_major>(&tile, ${offset}, ${stride});
        subgroupMatrixStore<row_major>(&x, (params.m + 1) * 3, fma(a, 1, 2), params.stride);
      }`,
      32768,
    );
  check("var<workgroup> span: vec4<u32>;", "row * PITCH", "EVEN");
  check("", "2 * (2 + PITCH)", "stride");
  const cases = [
    ["var<workgroup> most: f32;", "0", "EVEN", "most has 4 bytes"],
    ["var<workgroup> corners: array<vec2<u32>, 3>;", "0", "EVEN", "corners has 24 bytes"],
    ["", "0", "PITCH", "PITCH is 40 bytes"],
    ["", "EVEN + 1", "EVEN", "EVEN + 1 is 88 bytes"],
  ] as const;
  for (const [variable, offset, stride, message] of cases) {
    const error = assertThrows(() => check(variable, offset, stride), KernelError, message);
    assertEquals(error.code, "misaligned");
  }
  checkWorkgroupMemory("k", "var<workgroup> most: f32;", 16); // without matrices
});
