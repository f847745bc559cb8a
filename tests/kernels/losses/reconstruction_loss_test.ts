import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  reconstructionLoss,
  type ReconstructionLossArgs,
} from "../../../kernels/losses/reconstruction_loss.ts";
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
import * as reference from "./image_references.ts";

const SHAPES = [
  [1, 1, 1, 1],
  [2, 1, 6, 3],
  [1, 5, 1, 3],
  [2, 4, 4, 3],
  [1, 9, 11, 3],
  [2, 7, 8, 2],
  [1, 24, 20, 3],
] as const;

const TERMS = [
  { l1: 1, l2: 2, edges: 0.6, pooled: 0.5 },
  { l1: 1, l2: 0, edges: 0, pooled: 0 },
  { l1: 0, l2: 0, edges: 1, pooled: 0 },
  { l1: 0, l2: 0, edges: 0, pooled: 1 },
] as const;

Deno.test("reconstructionLoss() makes the loss, its gradient and its sums", async () => {
  const next = random(112);
  for (const dtype of ["f32", "f16"] as const) {
    for (const shape of SHAPES) {
      const [B, H, W, C] = shape, count = B * H * W * C;
      // some pixels beyond what is shown
      const made = values(next, count, dtype).map((v) => 2 * v);
      const right = values(next, count), errors = made.map((v, i) => v - right[i]!);
      const weights = values(next, B * H * W).map((v) => Math.fround(v + 2));
      for (const [k, terms] of TERMS.entries()) {
        const own = k % 2 ? null : weights;
        const expected = reference.reconstructionLossGradient(errors, shape, own, terms);
        if (count < 150 && dtype === "f32") {
          const [differences] = centralDifferences(
            (e) => Float64Array.of(reference.reconstructionLoss(e!, shape, own, terms)),
            [errors],
            Float64Array.of(1),
          );
          assertNear(expected, differences!, 1e-7, `the reference of [${shape}]`);
        }
        const args = {
          y: upload(dtype, shape, made),
          x: upload("f32", shape, right),
          weights: own && upload("f32", [B, H, W], own),
          ...terms,
        };
        const what = `${dtype} [${shape}] ${JSON.stringify(terms)}`;
        const gradient = poisoned(dtype, shape), stats = poisoned("f32", [4]);
        reconstructionLoss(device, {
          ...args,
          gradient: { tensor: gradient, add: false },
          stats: { tensor: stats, add: false },
        });
        await assertTensor(gradient, expected, TOLERANCE[dtype], what);
        const log = reference.reconstructionStats(made, right, shape, own, terms);
        await assertTensor(stats, log, TOLERANCE.f32, what);
        const before = values(next, count, dtype);
        const added = upload(dtype, shape, before);
        reconstructionLoss(device, {
          ...args,
          gradient: { tensor: added, add: true },
          scale: 2,
          stats: { tensor: stats, add: true },
        });
        const more = expected.map((v, i) => 2 * v + before[i]!);
        await assertTensor(added, more, TOLERANCE[dtype], `${what}, added`);
        await assertTensor(stats, log.map((v) => 2 * v), TOLERANCE.f32, `${what}, added`);
        reconstructionLoss(device, { ...args, gradient: null, stats: null });
      }
    }
  }
});

Deno.test("reconstructionLoss() of equal images has no gradient", async () => {
  const data = values(random(113), 6 * 6 * 3);
  const [y, x] = [upload("f32", [1, 6, 6, 3], data), upload("f32", [1, 6, 6, 3], data)];
  const gradient = poisoned("f32", [1, 6, 6, 3]);
  const sent = { gradient: { tensor: gradient, add: false }, stats: null };
  reconstructionLoss(device, { y, x, weights: null, ...TERMS[0], ...sent });
  await assertTensor(gradient, new Float64Array(108), 0);
});

Deno.test("reconstructionLoss() refuses shapes that disagree", () => {
  const shape = [1, 4, 4, 3];
  const args: ReconstructionLossArgs = {
    y: poisoned("f32", shape),
    x: poisoned("f32", shape),
    weights: null,
    gradient: null,
    stats: null,
  };
  const wrong: Partial<ReconstructionLossArgs>[] = [
    { x: poisoned("f32", [1, 4, 3, 4]) },
    { x: poisoned("f16", shape) },
    { weights: poisoned("f32", [1, 4, 3]) },
    { gradient: { tensor: poisoned("f16", shape), add: false } },
    { stats: { tensor: poisoned("f32", [5]), add: false } },
  ];
  for (const change of wrong) {
    assertThrows(
      () => reconstructionLoss(device, { ...args, ...change }),
      KernelError,
      "Cannot compare images",
    );
  }
});
