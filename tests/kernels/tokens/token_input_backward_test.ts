import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { Lookups } from "../../../kernels/tokens/lookups.ts";
import { tokenInputBackward } from "../../../kernels/tokens/token_input_backward.ts";
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

Deno.test("tokenInputBackward(): the analytic gradients are right", () => {
  const next = random(1);
  const [B, L, C, levels] = [2, 4, 3, 3], level = [0, 1, 1, 2];
  const inputs = [B * C, C, B * (L - 1) * C, levels * C].map((count) => values(next, count));
  const dy = values(next, B * L * C);
  const forward = (...[pooled, position, words, table]: Float64Array[]) =>
    reference.tokenInput({
      ...{ B, L, C, images: B, skip: 1, level },
      pooled: pooled!,
      position: position!,
      words: words!,
      table: table!,
    });
  const expected = centralDifferences(forward, inputs, dy);
  const found = reference.tokenInputBackward(dy, level, { B, L, C, levels });
  [found.pooled, found.position, found.words, found.table].forEach((gradient, i) =>
    assertNear(gradient, expected[i]!, 1e-9)
  );
});

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`tokenInputBackward() sends tokens back to words of ${dtype}`, async () => {
    const next = random(2);
    for (const [B, L, C] of [[1, 1, 4], [3, 5, 12], [40, 3, 8], [2, 90, 64]] as const) {
      const levels = 3, level = Array.from({ length: L }, (_, l) => Math.floor(2 * l / L));
      using lookups = new Lookups(device, level, levels);
      const dy = values(next, B * L * C);
      const expected = reference.tokenInputBackward(dy, level, { B, L, C, levels });
      for (const add of [false, true]) {
        const parts = [
          [dtype, [B, C], expected.pooled],
          ["f32", [1, 1, C], expected.position],
          [dtype, [B, L - 1, C], expected.words],
          ["f32", [levels, C], expected.table],
        ] as const;
        const made = parts.map(([dtype, shape, gradient]) => {
          const before = values(next, gradient.length, dtype);
          const tensor = add ? upload(dtype, shape, before) : poisoned(dtype, shape);
          const sum = gradient.map((v, i) => v + (add ? before[i]! : 0));
          return { dtype, gradient: { tensor, add }, sum };
        });
        const [dpooled, dposition, dwords, dtable] = made.map(({ gradient }) => gradient);
        tokenInputBackward(device, {
          dy: upload("f32", [B, L, C], dy),
          levels: lookups,
          dpooled: dpooled!,
          dposition: dposition!,
          dwords: L > 1 ? dwords! : null,
          dtable: dtable!,
        });
        for (const { dtype, gradient, sum } of made) {
          if (!sum.length) continue;
          const what = `[${B},${L},${C}] add ${add}`;
          await assertTensor(gradient.tensor, sum, TOLERANCE[dtype], what);
        }
      }
    }
  });
}

Deno.test("tokenInputBackward() computes only what is wanted", async () => {
  const next = random(3);
  const [B, L, C, levels] = [2, 3, 4, 2], level = [0, 1, 1];
  using lookups = new Lookups(device, level, levels);
  const dy = values(next, B * L * C);
  const expected = reference.tokenInputBackward(dy, level, { B, L, C, levels });
  const given = { dy: upload("f32", [B, L, C], dy), levels: lookups };
  const sizes = { dpooled: [B, C], dposition: [C], dwords: [B, L - 1, C], dtable: [levels, C] };
  for (const [name, shape] of Object.entries(sizes)) {
    const tensor = poisoned("f32", shape);
    tokenInputBackward(device, { ...given, [name]: { tensor, add: false } });
    const key = name.slice(1) as keyof typeof expected;
    await assertTensor(tensor, expected[key], TOLERANCE.f32, name);
  }
});

Deno.test("tokenInputBackward() refuses shapes that disagree", () => {
  using levels = new Lookups(device, [0, 1, 1], 2);
  const dy = poisoned("f32", [2, 3, 4]), vector = { tensor: poisoned("f32", [8]), add: false };
  const refused = [
    { dy: poisoned("f32", [2, 2, 4]) },
    { dy: poisoned("f32", [2, 3, 5]) },
    { dposition: vector },
    { dwords: vector },
    { dtable: { tensor: poisoned("f32", [3, 4]), add: false } },
  ];
  for (const given of refused) {
    assertThrows(
      () => tokenInputBackward(device, { dy, levels, ...given }),
      KernelError,
      "Cannot send tokens [2,",
    );
  }
});
