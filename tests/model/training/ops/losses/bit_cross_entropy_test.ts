import { assertEquals } from "@std/assert";
import {
  bitCrossEntropy,
  headDifference,
  Tape,
  tokenWeights,
  Variable,
} from "../../../../../model/training/mod.ts";
import { golden } from "../../../../goldens.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  upload,
  values,
} from "../../../../kernels/harness.ts";
import {
  bitCrossEntropyGradient,
  pairDifferenceBackward,
} from "../../../../kernels/losses/references.ts";

const LADDER = [1, 4, 16, 36, 64, 144, 256];

Deno.test("golden: tokenWeights() reweights by scale as the official code", async () => {
  const { tensor } = await golden("loss");
  assertNear(tokenWeights(LADDER, true), tensor("main.loss_weight").data, 1e-7);
});

Deno.test("tokenWeights() sum to 1", () => {
  assertEquals([...new Set(tokenWeights([1, 4, 16], false))], [Math.fround(1 / 21)]);
  // 1, 4 times 1/2, 16 times 1/4
  const weights = tokenWeights([1, 4, 16], true);
  assertNear(
    weights,
    [1, ...Array(4).fill(1 / 2), ...Array(16).fill(1 / 4)].map((w) => w / 7),
    1e-7,
  );
});

Deno.test("bitCrossEntropy() and headDifference() send the official head its gradient", async () => {
  const next = random(131);
  const [B, L, d] = [2, 5, 4];
  const z = values(next, B * L * d);
  const bits = Uint32Array.from({ length: B * L * d }, () => Number(next() < 0.5));
  const weights = tokenWeights([1, 4], false);
  // a head without weights: its bias is what each token's logits are
  const bias = new Float64Array(2 * B * L * d).map((_, i) => i % 2 ? z[i >> 1]! : 0);
  const before = values(next, bias.length);
  const grad = upload("f32", [bias.length], before);
  using tape = new Tape(device, { lossScale: 4 });
  const parameter = Variable.parameter(device, upload("f32", [bias.length], bias), grad);
  const delta = headDifference(tape, parameter).reshape(B, L, d);
  const sums = poisoned("f32", [3, 4]);
  bitCrossEntropy(tape, delta, {
    bits: upload("u32", [B, L, d], bits),
    weights: upload("f32", [L], weights),
    factor: 0.5,
    stats: { starts: upload("u32", [3], [0, 1, 5]), sums: { tensor: sums, add: false } },
  });
  tape.unwind();
  const how = { B, L, d, bitRows: L, smoothing: 0, reduction: "mean", weights } as const;
  const byDelta = bitCrossEntropyGradient(z, bits, how);
  const expected = pairDifferenceBackward(byDelta, 1).map((g, i) => 2 * g + before[i]!);
  await assertTensor(grad, expected, 1e-6);
});
