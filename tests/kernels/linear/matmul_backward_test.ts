import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { matmulBackward } from "../../../kernels/linear/matmul_backward.ts";
import { centralDifferences } from "../central_differences.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("The reference of matmulBackward() is what central differences are", () => {
  const next = random(46);
  for (const [M, K, N] of [[1, 1, 1], [3, 5, 7], [6, 2, 3]] as const) {
    const inputs = [values(next, M * K), values(next, N * K), values(next, N)];
    const dy = values(next, M * N);
    const forward = (x: Float64Array, w: Float64Array, b: Float64Array) =>
      reference.matmul(x, w, b, M, K, N);
    const [dx, dw, db] = centralDifferences(
      (...inputs) => forward(inputs[0]!, inputs[1]!, inputs[2]!),
      inputs,
      dy,
    );
    const analytic = reference.matmulBackward(inputs[0]!, inputs[1]!, dy, M, K, N);
    assertNear(analytic.dx, dx!, 1e-8);
    assertNear(analytic.dw, dw!, 1e-8);
    assertNear(analytic.db, db!, 1e-8);
  }
});

/** Values without signs, so that a sum is not small for its terms. */
function factors(next: () => number, count: number, dtype: "f32" | "f16"): Float64Array {
  return values(next, count, dtype).map(Math.abs);
}

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`matmulBackward() makes the gradients of a product in ${dtype}, of odd shapes`, async () => {
    const next = random(47);
    const cases = [[1, 1, 1], [5, 3, 2], [33, 12, 20], [64, 64, 64], [130, 37, 41], [70, 68, 9]];
    for (const [i, [M, K, N]] of (cases as [number, number, number][]).entries()) {
      const x = factors(next, M * K, dtype);
      const w = factors(next, N * K, dtype);
      const dy = factors(next, M * N, dtype);
      const add = i % 2 > 0;
      const before = factors(next, Math.max(M * K, N * K), dtype);
      const into = (type: "f32" | "f16", shape: readonly number[], count: number) => ({
        tensor: add ? upload(type, shape, before.subarray(0, count)) : poisoned(type, shape),
        add,
      });
      const dx = into(dtype, [M, K], M * K);
      const dw = into("f32", [N, K], N * K);
      const db = into("f32", [N], N);
      matmulBackward(device, {
        x: upload(dtype, [M, K], x),
        weights: [upload("f32", [N, K], w)],
        dy: upload(dtype, [M, N], dy),
        dx,
        dweights: [dw],
        dbiases: [db],
        dtype,
      });
      const expected = reference.matmulBackward(x, w, dy, M, K, N);
      const sum = (v: Float64Array) => add ? v.map((v, i) => v + before[i]!) : v;
      await assertTensor(dx.tensor, sum(expected.dx), TOLERANCE[dtype], "dx");
      await assertTensor(dw.tensor, sum(expected.dw), TOLERANCE.f32, "dw");
      await assertTensor(db.tensor, sum(expected.db), TOLERANCE.f32, "db");
    }
  });
}

Deno.test("matmulBackward() gives each stacked weight and each part of the bias its own, or nothing", async () => {
  const next = random(48);
  const [M, K, sizes] = [21, 10, [8, 4, 7]];
  const N = 19;
  const [x, w, dy] = [M * K, N * K, M * N].map((count) => values(next, count));
  const expected = reference.matmulBackward(x!, w!, dy!, M, K, N);
  let first = 0;
  const weights = sizes.map((n) => upload("f32", [n, K], w!.subarray(first * K, (first += n) * K)));
  const dweights = sizes.map((n, i) =>
    i === 1 ? null : { tensor: poisoned("f32", [n, K]), add: false }
  );
  const [q, v] = [poisoned("f32", [5]), poisoned("f32", [8])];
  matmulBackward(device, {
    x: upload("f32", [3, 7, K], x!),
    weights,
    dy: upload("f32", [3, 7, N], dy!),
    dx: null,
    dweights,
    dbiases: [{ tensor: q, add: false }, 6, { tensor: v, add: false }],
  });
  const { dw, db } = expected;
  await assertTensor(dweights[0]!.tensor, dw.subarray(0, 8 * K), TOLERANCE.f32);
  await assertTensor(dweights[2]!.tensor, dw.subarray(12 * K), TOLERANCE.f32);
  await assertTensor(q, db.subarray(0, 5), TOLERANCE.f32);
  await assertTensor(v, db.subarray(11), TOLERANCE.f32);
});

Deno.test("matmulBackward() multiplies many rows piece by piece", async () => {
  const next = random(49);
  for (const [M, K, N] of [[300, 12, 8], [257, 5, 3]] as const) {
    const [x, w, dy] = [M * K, N * K, M * N].map((count) => factors(next, count, "f32"));
    const before = factors(next, N * K, "f32");
    for (const add of [false, true]) {
      const tensor = add ? upload("f32", [N, K], before) : poisoned("f32", [N, K]);
      matmulBackward(device, {
        x: upload("f32", [M, K], x!),
        weights: [upload("f32", [N, K], w!)],
        dy: upload("f32", [M, N], dy!),
        dx: null,
        dweights: [{ tensor, add }],
        dbiases: [],
        piece: 128,
      });
      const { dw } = reference.matmulBackward(x!, w!, dy!, M, K, N);
      await assertTensor(tensor, dw.map((v, i) => v + (add ? before[i]! : 0)), TOLERANCE.f32);
    }
  }
});

Deno.test("matmulBackward() sums more rows of one column than a texture's row holds", async () => {
  const M = 140_003;
  const ones = upload("f32", [M, 1], new Float32Array(M).fill(1));
  const dw = { tensor: poisoned("f32", [1, 1]), add: false };
  matmulBackward(device, {
    x: ones,
    weights: [upload("f32", [1, 1], [1])],
    dy: ones,
    dx: null,
    dweights: [dw],
    dbiases: [],
  });
  assertEquals([...await device.read(dw.tensor)], [M]);
});

Deno.test("matmulBackward() computes nothing that nobody asks for, and keeps no memory", () => {
  const args = {
    x: poisoned("f32", [40, 8]),
    weights: [poisoned("f32", [12, 8])],
    dy: poisoned("f32", [40, 12]),
  };
  const dx = { tensor: poisoned("f32", [40, 8]), add: false };
  const [live, { dispatches }] = [device.memory.liveBytes, device.counters];
  matmulBackward(device, { ...args, dx: null, dweights: [null], dbiases: [12] });
  assertEquals(device.counters.dispatches, dispatches);
  matmulBackward(device, { ...args, dx, dweights: [null], dbiases: [] });
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("matmulBackward() refuses shapes that disagree", () => {
  const gradient = (...shape: number[]) => ({ tensor: poisoned("f32", shape), add: false });
  const args = {
    x: poisoned("f32", [6, 4]),
    weights: [poisoned("f32", [8, 4])],
    dy: poisoned("f32", [6, 8]),
    dx: null,
    dweights: [null],
    dbiases: [],
  };
  for (
    const wrong of [
      { x: poisoned("f32", [5, 4]) },
      { dy: poisoned("f32", [6, 7]) },
      { dx: gradient(6, 3) },
      { dweights: [] },
      { dweights: [gradient(8, 3)] },
      { dbiases: [gradient(7)] },
      { dbiases: [4, gradient(5)] },
    ]
  ) {
    assertThrows(() => matmulBackward(device, { ...args, ...wrong }), KernelError, "back through");
  }
});
