import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { blobSource, bytesSource } from "../../../engine/files/byte_source.ts";
import { InputError, SafetensorsError } from "../../../engine/base/errors.ts";
import { Safetensors } from "../../../engine/files/safetensors.ts";
import { encodeSafetensors, safetensorsHeader } from "../../../engine/files/safetensors_writer.ts";
import { open } from "./safetensors_helpers.ts";

Deno.test("encodeSafetensors() writes what Safetensors reads, aligned", async () => {
  const tensors = [
    { name: "bytes", dtype: "U8", shape: [3], data: new Uint8Array([1, 2, 3]) },
    { name: "2", dtype: "F16", shape: [1, 1], data: new Float16Array([0.5]) },
    { name: "__proto__", dtype: "F64", shape: [], data: new Float64Array([Math.PI]) },
    { name: "a\n\"'é🙂", dtype: "F32", shape: [2, 0], data: new Float32Array() },
    { name: "part", dtype: "I32", shape: [2], data: new Int32Array([9, 8, 7]).subarray(1) },
  ] as const;
  const bytes = encodeSafetensors(tensors, { "k\n": "v" });
  for (const source of [bytesSource("x", bytes), blobSource("x", new Blob([bytes]))]) {
    const file = await Safetensors.open(source);
    assertEquals(file.tensors.size, tensors.length);
    assertEquals({ ...file.metadata }, { "k\n": "v" });
    for (const { name, dtype, shape, data } of tensors) {
      const info = file.get(name);
      assertEquals(info.dtype, dtype);
      assertEquals(info.shape, [...shape]);
      assertEquals(info.offset % data.BYTES_PER_ELEMENT, 0);
      assertEquals(await file.read(name), data.slice());
    }
  }
  assertEquals(encodeSafetensors([]).length, 16);
});

Deno.test("encodeSafetensors() refuses what a reader would refuse", () => {
  const a = { name: "a", dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
  const cases: [string, Parameters<typeof encodeSafetensors>[0]][] = [
    ["duplicate-key", [a, a]],
    ["reserved-name", [{ ...a, name: "__metadata__" }]],
    ["bad-name", [{ ...a, name: "\ud800" }]],
    ["bad-shape", [{ ...a, shape: [0.5] }]],
    ["size-mismatch", [{ ...a, shape: [2] }]],
    ["unknown-dtype", [{ ...a, dtype: "F31" as "F32" }]],
    ...[undefined, null, 7, {}, "x", [null], [7], [{}], [{ ...a, name: 7 }], [{ ...a, data: [1] }]]
      .map((value): typeof cases[number] => ["bad-entry", value as never]),
    ...[undefined, 7, {}, Object.create(null), Symbol("x")]
      .map((dtype): typeof cases[number] => ["unknown-dtype", [{ ...a, dtype } as never]]),
    ...[undefined, null, 7, "1", [1n], [{}], { length: 1 }]
      .map((shape): typeof cases[number] => ["bad-shape", [{ ...a, shape } as never]]),
  ];
  for (const [code, tensors] of cases) {
    const error = assertThrows(() => encodeSafetensors(tensors), SafetensorsError, "Cannot write");
    assertEquals(error.code, code);
  }
});

Deno.test("safetensorsHeader() refuses metadata other than strings", () => {
  for (const metadata of [null, 7, "x", ["x"], { a: 1 }, { a: null }, { a: Symbol("x") }]) {
    const write = () => safetensorsHeader([], metadata as never);
    assertEquals(assertThrows(write, SafetensorsError).code, "bad-metadata");
  }
});

Deno.test("safetensorsHeader() pads to 8 bytes, and keeps the given order", async () => {
  const header = safetensorsHeader([
    { name: "z", dtype: "U8", shape: [1] },
    { name: "a", dtype: "F32", shape: [1] },
  ]);
  assertEquals(header.length % 8, 0);
  const file = await open(new Uint8Array([...header, 7, 0, 0, 128, 63]));
  assertEquals([...file.tensors.keys()], ["z", "a"]);
  assertEquals(await file.read("z"), new Uint8Array([7]));
  assertEquals(await file.readFloat32("a"), new Float32Array([1]));
});

Deno.test("bytesSource() and blobSource() copy ranges, and refuse those outside", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  for (const source of [bytesSource("x", bytes), blobSource("x", new Blob([bytes]))]) {
    const range = await source.read(1, 2);
    assertEquals(range, new Uint8Array([2, 3]));
    range[0] = 9;
    assertEquals(await source.read(3, 0), new Uint8Array());
    for (const [offset, length] of [[2, 2], [-1, 1], [0, -1], [0.5, 1], [NaN, 0]]) {
      const error = await assertRejects(() => source.read(offset, length), InputError, `"x"`);
      assertEquals(error.code, "range-invalid");
    }
  }
  assertEquals([...bytes], [1, 2, 3]);
});
