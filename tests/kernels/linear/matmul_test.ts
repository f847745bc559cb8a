import { assert, assertEquals, assertThrows } from "@std/assert";
import { Device, KernelError } from "../../../engine/mod.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { type Epilogue, matmul } from "../../../kernels/linear/matmul.ts";
import { usesTexture } from "../../../kernels/shared/textures.ts";
import {
  assertSums,
  assertTensor,
  device,
  NEED_CPU,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

const SHAPES = [[1, 1, 1], [1, 4, 4], [3, 5, 7], [8, 16, 32], [9, 33, 34], [17, 64, 130], [
  70,
  256,
  96,
]] as const;

/** Where weights are: in a texture on software adapters, and in a buffer everywhere. */
const TEXTURE = usesTexture(device) ? [true, false] : [false];
if (!TEXTURE[0]) {
  Deno.test({ name: `matmul() by weights in textures${NEED_CPU}`, ignore: true, fn() {} });
}
const VARIANTS = TEXTURE.flatMap((t) => [["f32", t], ["f16", t]] as const);

for (const [dtype, texture] of VARIANTS) {
  Deno.test(`matmul() multiplies odd shapes in ${dtype}${texture ? " textures" : ""}`, async () => {
    const next = random(1);
    for (const [M, K, N] of SHAPES) {
      const x = values(next, M * K, dtype), w = values(next, N * K, dtype), b = values(next, N);
      const rows = [upload("f32", [N, K], w)];
      const linear = packLinear(device, rows, upload("f32", [N], b), dtype, "test", texture);
      const y = poisoned(dtype, [M, N]);
      matmul(device, { x: upload(dtype, [M, K], x), linear, y });
      await assertTensor(
        y,
        reference.matmul(x, w, b, M, K, N),
        TOLERANCE[dtype],
        `[${M},${K},${N}]`,
      );
    }
  });
}

Deno.test("matmul() multiplies by a weight too large for a texture", async () => {
  const [M, K, N] = [1, device.gpu.limits.maxTextureDimension2D + 4, 4];
  const next = random(3);
  const x = values(next, M * K), w = values(next, N * K);
  const rows = [upload("f32", [N, K], w)];
  const linear = packLinear(device, rows, null, "f32", "test", TEXTURE[0]);
  const y = poisoned("f32", [M, N]);
  matmul(device, { x: upload("f32", [M, K], x), linear, y });
  await assertSums(y, reference.matmul(x, w, null, M, K, N), K);
});

/** Largest magnitude of each block of 32 along K, by row. */
function blockMost(w: Float64Array, n: number, k: number, K: number): number {
  const from = n * K + k - k % 32;
  const values = w.subarray(from, Math.min(from + 32, (n + 1) * K));
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}

for (const [dtype, texture] of TEXTURE.flatMap((t) => [["q8_0", t], ["q4_0", t]] as const)) {
  Deno.test(`matmul() multiplies ${dtype} blocks${texture ? " in textures" : ""}`, async () => {
    const next = random(5);
    for (
      const [M, K, N] of [[1, 32, 4], [5, 64, 8], [9, 40, 6], [11, 96, 33], [3, 7, 1]] as const
    ) {
      // rows of very different magnitude, one of zeros: every block has a scale of its own
      const w = values(next, N * K).map((v, i) =>
        Math.fround(Math.floor(i / K) === 2 ? 0 : v * 10 ** (Math.floor(i / K) % 5 - 2))
      );
      const rows = [upload("f32", [N, K], w)];
      const linear = packLinear(device, rows, null, dtype, "test", texture);
      const identity = new Float64Array(K * K);
      for (let k = 0; k < K; k++) identity[k * K + k] = 1;
      const unpacked = poisoned("f32", [K, N]);
      matmul(device, {
        x: upload("f32", [K, K], identity),
        linear,
        y: unpacked,
        variant: "vector",
      });
      const stored = new Float64Array(N * K);
      (await device.read(unpacked)).forEach((v, i) => stored[i % N * K + Math.floor(i / N)] = v);
      stored.forEach((v, i) => {
        const step = blockMost(w, Math.floor(i / K), i % K, K) / (dtype === "q8_0" ? 127 : 8);
        const error = Math.abs(v - w[i]!);
        // half a step; a whole one at +8, which q4_0 lacks
        assert(error <= step * (dtype === "q8_0" ? 0.502 : 1.002), `${i}: ${v} for ${w[i]}`);
      });
      const x = values(next, M * K);
      const y = poisoned("f32", [M, N]);
      matmul(device, { x: upload("f32", [M, K], x), linear, y, variant: "vector" });
      await assertTensor(
        y,
        reference.matmul(x, stored, null, M, K, N),
        TOLERANCE.f32,
        `[${M},${K},${N}]`,
      );
    }
  });
}

Deno.test("packLinear() stores 8.5 and 4.5 bits per weight, stacked weights too", () => {
  const w = upload("f32", [64, 128], new Float64Array(64 * 128));
  for (const [dtype, bytes] of [["q8_0", 1 + 2 / 32], ["q4_0", 0.5 + 2 / 32]] as const) {
    const before = device.memory.liveBytes;
    packLinear(device, [w, w], null, dtype, "test", false);
    assertEquals(device.memory.liveBytes - before, 2 * 64 * 128 * bytes);
  }
});

Deno.test("matmul() applies each epilogue", async () => {
  const next = random(2);
  for (const [M, K, N] of [[5, 12, 8], [11, 7, 20]] as const) {
    for (const epilogue of ["none", "gelu", "silu", "add", "gate"] as Epilogue[]) {
      const x = values(next, M * K).map((v) => v * 3), w = values(next, N * K).map((v) => v * 3);
      const before = values(next, M * N), gates = values(next, 3 * 6 * N);
      const linear = packLinear(device, [upload("f32", [N, K], w)], null);
      const y = upload("f32", [M, N], before);
      const gate = {
        tensor: upload("f32", [3, 6, N], gates),
        offset: 2 * N,
        stride: 6 * N,
        rows: 4,
      };
      matmul(device, { x: upload("f32", [M, K], x), linear, y, epilogue, gate });
      const expected = reference.epilogue(reference.matmul(x, w, null, M, K, N), N, epilogue, {
        before,
        gates,
        gateAt: (m, n) => Math.floor(m / 4) * 6 * N + 2 * N + n,
      });
      await assertTensor(y, expected, TOLERANCE.f32, `${epilogue} [${M},${K},${N}]`);
    }
  }
});

Deno.test("matmul() gives GELU of large numbers, whose cubes are infinite", async () => {
  const x = [0, 30, 1e4, 6e18];
  const linear = packLinear(device, [upload("f32", [2, 1], [1, -1])], null);
  const y = poisoned("f32", [4, 2]);
  matmul(device, { x: upload("f32", [4, 1], x), linear, y, epilogue: "gelu" });
  assertEquals(
    Array.from(await device.read(y), (v) => v + 0),
    x.flatMap((v) => [Math.fround(v), 0]),
  );
});

Deno.test("packLinear() stacks weights along N", async () => {
  const next = random(3);
  const M = 6, K = 10, a = values(next, 8 * K), b = values(next, 5 * K), x = values(next, M * K);
  const linear = packLinear(device, [upload("f32", [8, K], a), upload("f32", [5, K], b)], null);
  const y = poisoned("f32", [M, 13]);
  matmul(device, { x: upload("f32", [M, K], x), linear, y });
  const stacked = Float64Array.from([...a, ...b]);
  await assertTensor(y, reference.matmul(x, stacked, null, M, K, 13), TOLERANCE.f32);
});

Deno.test("matmul() makes a row of the same bits alone and among others", async () => {
  const next = random(4);
  const M = 21, K = 48, N = 40, x = values(next, M * K), w = values(next, N * K);
  const linear = packLinear(device, [upload("f32", [N, K], w)], null);
  const all = poisoned("f32", [M, N]), one = poisoned("f32", [1, N]);
  matmul(device, { x: upload("f32", [M, K], x), linear, y: all });
  matmul(device, { x: upload("f32", [1, K], x.subarray(17 * K, 18 * K)), linear, y: one });
  const [rows, row] = await device.readAll([all, one]);
  assertEquals(rows!.slice(17 * N, 18 * N), row);
});

Deno.test("matmul() chooses by the rows of one sequence on GPUs, and makes the same bits in a batch", async () => {
  const lines: string[] = [];
  const debug = { level: 3, log: (line: string) => lines.push(line) };
  using gpu = await Device.open({ class: "gpu", debug });
  const next = random(12);
  // tokens of one sequence, K, N, and what is chosen
  for (
    const [rows, K, N, chosen] of [
      [1, 2048, 128, "matmul: rows "],
      [4, 256, 32, "matmul: rows "],
      [5, 1024, 4100, "matmul: rows "],
      [40, 1024, 4100, "matmul: tiles "],
    ] as const
  ) {
    const data = Float32Array.from(values(next, 3 * rows * K));
    const w = gpu.from("f32", [N, K], Float32Array.from(values(next, N * K)));
    const linear = packLinear(gpu, [w], null);
    const made = [1, 2, 3].map((sequences) => {
      const M = sequences * rows;
      const y = gpu.tensor("f32", [M, N]);
      matmul(gpu, { x: gpu.from("f32", [M, K], data.slice(0, M * K)), linear, y, rows });
      assert(lines.findLast((line) => line.startsWith("matmul: "))?.startsWith(chosen));
      return y;
    });
    const [one, two, three] = await gpu.readAll(made);
    assertEquals(two!.slice(0, rows * N), one);
    assertEquals(three!.slice(0, 2 * rows * N), two);
  }
});

Deno.test({
  name: `matmul() makes the same bits with any number of rows per invocation${
    TEXTURE[0] ? "" : NEED_CPU
  }`,
  ignore: !TEXTURE[0],
  async fn() {
    const next = random(7);
    const M = 37, K = 80, N = 44, x = upload("f32", [M, K], values(next, M * K));
    const w = upload("f32", [N, K], values(next, N * K));
    const linear = packLinear(device, [w], null, "f32", "test", true);
    const all = ["8", "16", "32"].map((rows) => {
      device.tuning = { "matmul_texture rows": [[0, rows]] };
      const y = poisoned("f32", [M, N]);
      matmul(device, { x, linear, y });
      device.tuning = {};
      return y;
    });
    const [first, ...others] = await device.readAll(all);
    for (const other of others) assertEquals(other, first);
  },
});

Deno.test("matmul() refuses shapes that do not match", () => {
  const linear = packLinear(device, [upload("f32", [4, 8], new Float64Array(32))], null);
  const x = upload("f32", [3, 8], new Float64Array(24));
  assertThrows(
    () => matmul(device, { x, linear, y: poisoned("f32", [2, 4]) }),
    KernelError,
    "Cannot multiply [3,8] by [8, 4] into [2,4]",
  );
  assertThrows(
    () => matmul(device, { x: x.reshape(4, 6), linear, y: poisoned("f32", [3, 4]) }),
    KernelError,
    "Cannot multiply [4,6] by [8, 4] into [3,4]",
  );
});

Deno.test("matmul() refuses a bias or a gate that is too small, and an epilogue without its gate", () => {
  const w = upload("f32", [8, 8], new Float64Array(64)), small = upload("f32", [4], [1, 1, 1, 1]);
  const x = upload("f32", [4, 8], new Float64Array(32)), y = poisoned("f32", [4, 8]);
  const [biased, linear] = [packLinear(device, [w], small), packLinear(device, [w], null)];
  const tensor = upload("f32", [1, 8], new Float64Array(8));
  const gate = { tensor, offset: 0, stride: 8, rows: 1 };
  for (
    const [product, message] of [
      [{ linear: biased }, "by none with bias [4], gate none"],
      [{ linear, epilogue: "gate", gate }, "by gate with bias none, gate [1,8]"],
      [{ linear, epilogue: "gate" }, "by gate with bias none, gate none"],
    ] as const
  ) {
    assertThrows(() => matmul(device, { x, y, ...product }), KernelError, message);
  }
  matmul(device, { x, y, linear, epilogue: "gate", gate: { ...gate, rows: 4 } });
});

for (const texture of TEXTURE) {
  Deno.test(`matmul() makes more rows than a dispatch has workgroups${texture ? ", texture" : ""}`, async () => {
    const [M, K, N] = [65535 * 8 + 3, 1, 1];
    const x = Float32Array.from({ length: M }, (_, m) => m);
    const linear = packLinear(device, [upload("f32", [N, K], [2])], null, "f32", "test", texture);
    const y = poisoned("f32", [M, N]);
    matmul(device, { x: device.from("f32", [M, K], x), linear, y });
    const made = await device.read(y) as Float32Array;
    assert(made.length === M && made.every((value, m) => value === 2 * m));
  });
}
