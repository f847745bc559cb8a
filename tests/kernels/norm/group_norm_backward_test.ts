import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  groupNormBackward,
  type GroupNormBackwardArgs,
} from "../../../kernels/norm/group_norm_backward.ts";
import { groupNormMoments } from "../../../kernels/norm/group_norm_moments.ts";
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

const EPS = 1e-3;

Deno.test("groupNormBackward(): the analytic gradients are right", () => {
  const next = random(1);
  const shape = [2, 3, 6] as const, [B, area, C] = shape;
  const inputs = [B * area * C, C, C].map((count) => values(next, count));
  const dy = values(next, B * area * C);
  for (const groups of [1, 3]) {
    for (const silu of [false, true]) {
      const forward = (...[x, weight, bias]: Float64Array[]) =>
        reference.groupNorm(x!, shape, groups, weight!, bias!, silu, EPS);
      const expected = centralDifferences(forward, inputs, dy);
      const [x, weight, bias] = inputs;
      const found = reference.groupNormBackward(
        ...[x!, dy, shape, groups, weight!, bias!, silu, EPS] as const,
      );
      [found.dx, found.dweight, found.dbias].forEach((gradient, i) =>
        assertNear(gradient, expected[i]!, 1e-8, `${groups} groups, silu ${silu}, input ${i}`)
      );
    }
  }
});

const SHAPES = [
  [1, 1, 1, 4, 1],
  [2, 3, 5, 12, 3],
  [1, 9, 7, 48, 24], // more pixels than a chunk
  [3, 2, 2, 128, 32],
  [2, 33, 31, 32, 32],
] as const;

for (const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f16", "f32"]] as const) {
  for (const activation of ["none", "silu"] as const) {
    Deno.test(`groupNormBackward() sends ${from} back through ${activation} to ${to}`, async () => {
      const next = random(2);
      for (const [B, H, W, C, groups] of SHAPES) {
        const shape = [B, H, W, C], count = B * H * W * C;
        const x = values(next, count, from).map((v) => Math.f16round(v + 1));
        const dy = values(next, count, from), before = values(next, count, to);
        const weight = values(next, C), bias = values(next, C);
        const [tensor, weights] = [upload(from, shape, x), upload("f32", [C], weight)];
        const moments = groupNormMoments(device, {
          x: tensor,
          weight: weights,
          groups,
          eps: EPS,
        });
        const silu = activation === "silu";
        const expected = reference.groupNormBackward(
          ...[x, dy, [B, H * W, C], groups, weight, bias, silu, EPS] as const,
        );
        for (const add of [false, true]) {
          const parts = [[to, shape, expected.dx], ["f32", [C], expected.dweight], [
            "f32",
            [C],
            expected.dbias,
          ]] as const;
          const made = parts.map(([dtype, shape, gradient]) => {
            const tensor = add
              ? upload(dtype, shape, before.subarray(0, gradient.length))
              : poisoned(dtype, shape);
            const sum = gradient.map((v, i) => v + (add ? before[i]! : 0));
            return { gradient: { tensor, add }, sum, dtype };
          });
          const [dx, dweight, dbias] = made.map(({ gradient }) => gradient);
          groupNormBackward(device, {
            x: tensor,
            dy: upload(from, shape, dy),
            moments,
            weight: weights,
            bias: upload("f32", [C], bias),
            groups,
            activation,
            dx: dx!,
            dweight: dweight!,
            dbias: dbias!,
          });
          for (const [i, { gradient, sum, dtype }] of made.entries()) {
            const what = `[${shape}] in ${groups} groups, add ${add}, gradient ${i}`;
            await assertTensor(gradient.tensor, sum, 2 * TOLERANCE[dtype], what);
          }
        }
        moments.dispose();
      }
    });
  }
}

Deno.test("groupNormBackward() computes only what is wanted", async () => {
  const next = random(3);
  const shape = [2, 5, 8], [B, area, C] = shape as [number, number, number];
  const x = values(next, B * area * C), dy = values(next, B * area * C);
  const weight = values(next, C), bias = values(next, C);
  const given = {
    x: upload("f32", shape, x),
    dy: upload("f32", shape, dy),
    weight: upload("f32", [C], weight),
    bias: upload("f32", [C], bias),
    groups: 2,
  };
  const moments = groupNormMoments(device, { ...given, eps: EPS });
  const expected = reference.groupNormBackward(
    ...[x, dy, [B, area, C], 2, weight, bias, false, EPS] as const,
  );
  const nothing = { dx: null, dweight: null, dbias: null };
  for (const [name, size] of Object.entries({ dx: shape, dweight: [C], dbias: [C] })) {
    const tensor = poisoned("f32", size);
    groupNormBackward(device, { ...given, moments, ...nothing, [name]: { tensor, add: false } });
    await assertTensor(tensor, expected[name as keyof typeof expected], TOLERANCE.f32 * 2, name);
  }
  const { dispatches } = device.counters;
  groupNormBackward(device, { ...given, moments, ...nothing });
  assertEquals(device.counters.dispatches, dispatches);
});

Deno.test("groupNormBackward() refuses shapes that disagree", () => {
  const x = poisoned("f32", [1, 2, 8]), vector = poisoned("f32", [8]);
  const args: GroupNormBackwardArgs = {
    x,
    dy: x,
    moments: poisoned("f32", [1, 3, 8]),
    weight: vector,
    bias: vector,
    groups: 2,
    dx: null,
    dweight: null,
    dbias: null,
  };
  const refused = [
    { groups: 3 },
    { dy: poisoned("f32", [1, 3, 8]) },
    { moments: poisoned("f32", [1, 2, 8]) },
    { dx: { tensor: vector, add: false } },
    { dweight: { tensor: x, add: false } },
    { bias: poisoned("f32", [7]) },
  ];
  for (const given of refused) {
    assertThrows(
      () => groupNormBackward(device, { ...args, ...given }),
      KernelError,
      "Cannot send [1,",
    );
  }
});
