import { assertEquals } from "@std/assert";
import { psnr, reconstructionLoss, Tape, Variable } from "../../../../../model/training/mod.ts";
import {
  assertTensor,
  device,
  poisoned,
  random,
  upload,
  values,
} from "../../../../kernels/harness.ts";
import {
  edgeWeights,
  reconstructionLossGradient,
  reconstructionStats,
} from "../../../../kernels/losses/image_references.ts";

Deno.test("reconstructionLoss() weights edges of the target, and scales its gradient", async () => {
  const next = random(141);
  const shape = [2, 9, 8, 3], count = 432;
  const y = values(next, count), x = values(next, count).map((v) => v / 3);
  const terms = { l1: 1, l2: 2, edges: 0.6, pooled: 0.5 };
  const stats = poisoned("f32", [4]);
  using tape = new Tape(device, { lossScale: 16 });
  using made = upload("f32", shape, y);
  const variable = Variable.tracked(device, made);
  reconstructionLoss(tape, variable, {
    target: upload("f32", shape, x),
    edgeWeighting: { amount: 2.5, gain: 1.5 },
    ...terms,
    factor: 0.25,
    stats: { tensor: stats, add: false },
  });
  const weights = edgeWeights({ shape, data: x.map(Math.fround) }, 2.5, 1.5);
  const errors = y.map((v, i) => v - Math.fround(x[i]!));
  const slopes = reconstructionLossGradient(errors, shape, weights, terms);
  await assertTensor(variable.grad!, slopes.map((g) => 4 * g), 2e-6);
  const log = reconstructionStats(y, x.map(Math.fround), shape, weights, terms);
  await assertTensor(stats, log, 2e-6);
});

Deno.test("psnr() is in dB of a range of 2", () => {
  assertEquals([psnr(4), psnr(0.04), psnr(0)], [-0, 20, Infinity]);
});
