import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bf16ToFloat32,
  type Dtype,
  dtypeBytes,
  DTYPES,
  f16ToFloat32,
  f8e4m3ToFloat32,
  f8e5m2ToFloat32,
  isDtype,
  toFloat32,
  viewAs,
} from "../../../engine/files/dtype.ts";
import { InputError } from "../../../engine/base/errors.ts";

const bytesOf = (view: ArrayBufferView<ArrayBuffer>) =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

Deno.test("dtypeBytes() knows every dtype", () => {
  const sizes = Object.fromEntries(DTYPES.map((dtype) => [dtype, dtypeBytes(dtype)]));
  assertEquals(sizes, {
    ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1 },
    ...{ U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
  });
});

Deno.test("isDtype() knows names, not properties of objects", () => {
  assert(isDtype("BF16"));
  for (const value of ["bf16", "toString", "", 1, null, undefined]) assert(!isDtype(value));
});

Deno.test("f16ToFloat32() converts every number of f16", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = f16ToFloat32(bits);
  assertEquals(values[0x3c00], 1);
  assertEquals(values[0x0001], 2 ** -24);
  assertEquals(values[0xfbff], -65504);
  assertEquals(values[0x7c00], Infinity);
  const back = new Uint16Array(new Float16Array(values).buffer);
  assert(bits.every((bit, i) => Number.isNaN(values[i]) || back[i] === bit));
});

Deno.test("bf16ToFloat32() widens every bit pattern", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = bf16ToFloat32(bits);
  assertEquals(values[0x3f80], 1);
  assertEquals(values[0xc049], -3.140625);
  assertEquals(values[0xff80], -Infinity);
  const back = new Uint32Array(values.buffer);
  assert(bits.every((bit, i) => Number.isNaN(values[i]) || back[i] === bit << 16 >>> 0));
});

Deno.test("f8e4m3ToFloat32() has no infinity", () => {
  const bits = new Uint8Array([0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0x7e, 0xfe, 0x7f, 0xff]);
  assertEquals(
    [...f8e4m3ToFloat32(bits)],
    [0, -0, 2 ** -9, 7 * 2 ** -9, 2 ** -6, 1, 448, -448, NaN, NaN],
  );
});

Deno.test("f8e5m2ToFloat32() is the upper half of f16", () => {
  const bits = new Uint8Array([0x00, 0x80, 0x01, 0x04, 0x3c, 0x7b, 0x7c, 0xfc, 0x7d]);
  assertEquals(
    [...f8e5m2ToFloat32(bits)],
    [0, -0, 2 ** -16, 2 ** -14, 1, 57344, Infinity, -Infinity, NaN],
  );
});

Deno.test("toFloat32() converts every dtype, at any alignment", () => {
  const cases: [Dtype, ArrayBufferView<ArrayBuffer>, number[]][] = [
    ["BOOL", new Uint8Array([0, 1, 255]), [0, 1, 1]],
    ["U8", new Uint8Array([255]), [255]],
    ["I8", new Int8Array([-128]), [-128]],
    ["F8_E5M2", new Uint8Array([0x3c]), [1]],
    ["F8_E4M3", new Uint8Array([0x38]), [1]],
    ["U16", new Uint16Array([65535]), [65535]],
    ["I16", new Int16Array([-32768]), [-32768]],
    ["F16", new Float16Array([0.5, -2]), [0.5, -2]],
    ["BF16", new Uint16Array([0x3f80, 0xbf80]), [1, -1]],
    ["U32", new Uint32Array([2 ** 32 - 1]), [2 ** 32]],
    ["I32", new Int32Array([-5]), [-5]],
    ["F32", new Float32Array([1.5, NaN]), [1.5, NaN]],
    ["U64", new BigUint64Array([2n ** 64n - 1n]), [2 ** 64]],
    ["I64", new BigInt64Array([-3n, 2n ** 54n + 2n ** 30n + 1n]), [-3, 2 ** 54 + 2 ** 31]],
    ["F64", new Float64Array([0.1, 1e300]), [Math.fround(0.1), Infinity]],
  ];
  assertEquals(cases.map(([dtype]) => dtype), [...DTYPES]);
  for (const [dtype, data, expected] of cases) {
    const bytes = bytesOf(data);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    assertEquals([...toFloat32(bytes, dtype)], expected, dtype);
    assertEquals([...toFloat32(shifted.subarray(1), dtype)], expected, dtype);
  }
});

Deno.test("toFloat32() returns a new array", () => {
  const data = new Float32Array([1]);
  toFloat32(bytesOf(data), "F32")[0] = 2;
  assertEquals(data[0], 1);
});

Deno.test("viewAs() shares aligned bytes, and refuses parts of elements", () => {
  const bytes = new Uint8Array(8);
  assert(viewAs(bytes, "F32").buffer === bytes.buffer);
  const error = assertThrows(() => viewAs(bytes.subarray(1), "F32"), InputError, "7 bytes as F32");
  assertEquals(error.code, "byte-length");
});
