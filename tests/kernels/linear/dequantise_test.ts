import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { dequantise } from "../../../kernels/linear/dequantise.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import {
  QUANTISED_TYPES,
  quantisedBytes,
  type QuantisedType,
} from "../../../kernels/linear/weight_types.ts";
import { quantise } from "../../../model/checkpoint/quantised_blocks.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

const SHAPES = [[1, 32], [3, 32], [5, 96], [33, 64], [7, 1056]] as const;

/** Values of very different magnitude, with a block of zeros, subnormal scales, and ties. */
function weights(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = random(seed);
  const sizes = [1, 1e-2, 1e-5, 0, 30, 1e-7, 1e4];
  return Float32Array.from(
    values(next, count),
    (v, i) => i % 192 < 32 ? Math.floor(v * 15) / 2 : v * sizes[Math.floor(i / 32) % sizes.length]!,
  );
}

/** Views bytes as words; pads the last one with zeros. */
function words(bytes: ArrayBufferView): Uint32Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  padded.set(new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength));
  return new Uint32Array(padded.buffer);
}

async function dequantised(
  [N, K]: readonly [number, number],
  type: QuantisedType,
  bytes: Uint8Array,
  scales: Float16Array,
): Promise<Float32Array> {
  const [x, s] = [words(bytes), words(scales)];
  const y = poisoned("f32", [N, K]);
  const held = { x: upload("u32", [x.length], x), scales: upload("u32", [s.length], s) };
  dequantise(device, { ...held, y, type });
  return await device.read(y) as Float32Array;
}

Deno.test("dequantise() is exact for any bytes, odd N and counts of blocks included", async () => {
  for (const type of QUANTISED_TYPES) {
    for (const [N, K] of SHAPES) {
      const next = random(N * K);
      const bytes = Uint8Array.from(
        { length: quantisedBytes(type, N * K) },
        () => next() * 256,
      );
      const scales = Float16Array.from(values(next, N * K / 32), (v, i) => v * 10 ** (i % 9 - 4));
      const expected = reference.dequantise(bytes, scales, N * K, type);
      const y = await dequantised([N, K], type, bytes, scales);
      // compared as numbers: 0 times a negative scale may be either zero
      assertEquals(Float64Array.from(y, (v) => v + 0), expected.map((v) => v + 0), `${type} ${N}`);
    }
  }
});

Deno.test("quantise() makes the same blocks on the host as packLinear() on the GPU", async () => {
  for (const type of QUANTISED_TYPES) {
    for (const [N, K] of SHAPES) {
      const w = weights(N * K, 7);
      const { bytes, scales, overflows } = quantise(w, type);
      assertEquals(overflows, 0);
      const packed = packLinear(device, [upload("f32", [N, K], w)], null, type, "test", false);
      if (!("dtype" in packed.weight) || !("shape" in packed.weight)) throw new Error("a texture");
      const got = new Uint8Array((await device.read(packed.weight)).slice().buffer as ArrayBuffer);
      const gotScales = new Uint16Array((await device.read(packed.scales!)).slice().buffer);
      const columns = Math.ceil(N / 4) * 4;
      const bits = new Uint16Array(scales.buffer);
      for (let i = 0; i < N * K; i++) {
        const [n, k] = [Math.floor(i / K), i % K];
        const where = `${type} [${N}, ${K}] at ${n}, ${k}: ${w[i]}`;
        const scale = gotScales[Math.floor(k / 32) * columns + n];
        assertEquals(scale, bits[i >> 5], `${where}, scale`);
        if (type === "q8_0") assertEquals(got[k * columns + n], bytes[i], where);
        else if (k % 2 === 0) assertEquals(got[k / 2 * columns + n], bytes[i >> 1], where);
      }
    }
  }
});

Deno.test("packLinear() keeps what is not finite so, in its row alone", async () => {
  const [N, K] = [8, 64];
  for (const type of QUANTISED_TYPES) {
    for (const value of [NaN, -NaN, Infinity, -Infinity]) {
      const w = upload("f32", [N, K], weights(N * K, 3).with(3 * K + 40, value));
      const linear = packLinear(device, [w], null, type);
      const y = poisoned("f32", [1, N]);
      matmul(device, { x: upload("f32", [1, K], new Float32Array(K).fill(1)), linear, y });
      const finite = Array.from(await device.read(y), (v) => Number.isFinite(v));
      assertEquals(finite, Array.from({ length: N }, (_, n) => n !== 3), `${type} ${value}`);
    }
  }
});

Deno.test("quantise() changes nothing that was quantised before, except with tiny subnormal scales", async () => {
  for (const type of QUANTISED_TYPES) {
    const [N, K] = [64, 192] as const;
    // below 127² · 2⁻²⁴ the rounding of the scale shows
    const w = weights(N * K, 11).map((v) => Math.abs(v) < 1e-3 ? 0 : v);
    const once = quantise(w, type);
    const back = await dequantised([N, K], type, once.bytes, once.scales);
    const twice = quantise(back, type);
    for (let i = 0; i < N * K; i++) {
      const at = Math.floor(i / (type === "q8_0" ? 1 : 2));
      assertEquals(twice.bytes[at], once.bytes[at], `${type} ${i}: ${w[i]}`);
    }
    assertEquals(twice.scales, once.scales, type);
  }
});

Deno.test("quantise() counts what no block can hold", () => {
  const of = (value: number) => Float32Array.from({ length: 32 }, (_, i) => i === 9 ? value : 1);
  for (const type of QUANTISED_TYPES) {
    for (const value of [NaN, Infinity, -1e9]) assertEquals(quantise(of(value), type).overflows, 1);
    assertEquals(quantise(of(5e5), type).overflows, 0);
  }
});

Deno.test("dequantise() refuses rows that are not whole blocks, and too few bytes", () => {
  const x = upload("u32", [8], new Uint32Array(8));
  const call = (shape: number[]) => () =>
    dequantise(device, { x, scales: x, y: poisoned("f32", shape), type: "q8_0" });
  assertThrows(call([1, 40]), KernelError, "Cannot dequantise rows of 40: not a multiple of 32");
  assertThrows(call([2, 32]), KernelError, "Cannot dequantise 32 weights with 16 scales to 64");
});
