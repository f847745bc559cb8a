import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  bitCrossEntropy,
  type BitCrossEntropyArgs,
} from "../../../kernels/losses/bit_cross_entropy.ts";
import { golden } from "../../goldens.ts";
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

/** B, L, d, tokens of the target bits, first tokens of the scales. */
const SHAPES = [
  [1, 1, 1, 1, [0, 1]],
  [2, 5, 16, 5, [0, 1, 5]],
  [3, 21, 7, 30, [0, 1, 5, 21]],
  [2, 130, 14, 131, [0, 130]],
  [1, 9, 64, 9, [0, 1, 2, 3, 9]],
] as const;

const HOW = [
  { smoothing: 0, reduction: "mean" },
  { smoothing: 0.1, reduction: "sum" },
] as const;

Deno.test("bitCrossEntropy() makes the loss, its gradient and its sums", async () => {
  const next = random(61);
  for (const dtype of ["f32", "f16"] as const) {
    for (const [B, L, d, bitRows, starts] of SHAPES) {
      for (const how of HOW) {
        const z = values(next, B * L * d, dtype).map((v) => 4 * v);
        z[0] = 0; // a tie
        const bits = Uint32Array.from({ length: B * bitRows * d }, () => Number(next() < 0.5));
        const weights = values(next, L).map((v) => Math.fround(v + 1.5));
        const loss = { B, L, d, bitRows, weights, ...how };
        const expected = reference.bitCrossEntropyGradient(z, bits, loss);
        if (dtype === "f32" && z.length < 500) {
          const forward = (z: Float64Array) => reference.bitCrossEntropy(z, bits, loss);
          const [differences] = centralDifferences(forward, [z], Float64Array.of(1));
          assertNear(expected, differences!, 1e-7, "the reference");
        }
        const args = {
          delta: upload(dtype, [B, L, d], z),
          bits: upload("u32", [B, bitRows, d], bits),
          weights: upload("f32", [L], weights),
          ...how,
        };
        const gradient = poisoned(dtype, [B, L, d]);
        const sums = poisoned("f32", [starts.length, 4]);
        const stats = {
          starts: upload("u32", [starts.length], starts),
          sums: { tensor: sums, add: false },
        };
        const what = `${dtype} [${B}, ${L}, ${d}] ${JSON.stringify(how)}`;
        bitCrossEntropy(device, { ...args, gradient: { tensor: gradient, add: false }, stats });
        await assertTensor(gradient, expected, TOLERANCE[dtype], what);
        const log = reference.bitStats(z, bits, starts, loss);
        await assertTensor(sums, log, TOLERANCE.f32, what);

        const before = values(next, z.length, dtype);
        const added = upload(dtype, [B, L, d], before);
        bitCrossEntropy(device, {
          ...args,
          gradient: { tensor: added, add: true },
          scale: 3,
          stats: { ...stats, sums: { tensor: sums, add: true } },
        });
        const more = expected.map((v, i) => 3 * v + before[i]!);
        await assertTensor(added, more, TOLERANCE[dtype], `${what}, added`);
        await assertTensor(sums, log.map((v) => 2 * v), TOLERANCE.f32, `${what}, added`);
        bitCrossEntropy(device, { ...args, gradient: null, stats: null });
      }
    }
  }
});

Deno.test("bitCrossEntropy() is right in proportion where logits are large", async () => {
  const z = [-200, -20, -10, -1e-3, 0, 1e-3, 10, 20, 200, 88, -88];
  const weights = new Float32Array(z.length).fill(1);
  for (const bit of [0, 1]) {
    const how = {
      B: 1,
      L: z.length,
      d: 1,
      bitRows: z.length,
      weights,
      smoothing: 0,
      reduction: "mean",
    } as const;
    const bits = new Uint32Array(z.length).fill(bit);
    const starts = [...z.keys(), z.length];
    const sums = poisoned("f32", [starts.length, 4]);
    const gradient = poisoned("f32", [1, z.length, 1]);
    bitCrossEntropy(device, {
      delta: upload("f32", [1, z.length, 1], z),
      bits: upload("u32", [1, z.length, 1], bits),
      weights: upload("f32", [z.length], weights),
      gradient: { tensor: gradient, add: false },
      stats: {
        starts: upload("u32", [starts.length], starts),
        sums: { tensor: sums, add: false },
      },
    });
    const losses = reference.tokenLosses(Float64Array.from(z), bits, how);
    const slopes = reference.bitCrossEntropyGradient(Float64Array.from(z), bits, how);
    const read = await device.read(sums), slope = await device.read(gradient);
    losses.forEach((loss, i) => {
      for (const [actual, right] of [[read[4 * i + 5]!, loss], [slope[i]!, slopes[i]!]] as const) {
        // what f32 has no normal number for may be zero
        assert(
          Math.abs(actual - right) <= 3e-6 * Math.abs(right) + 2 ** -126,
          `${z[i]}: ${actual}`,
        );
      }
    });
  }
});

Deno.test("golden: bitCrossEntropy() has the official losses of tokens", async () => {
  const { tensor } = await golden("loss");
  const bits = tensor<Uint8Array<ArrayBuffer>>("main.gt_bits");
  const [B, L, d] = bits.shape as [number, number, number];
  const logits = tensor("main.logits").data;
  const z = Float32Array.from({ length: B * L * d }, (_, i) => logits[2 * i + 1]! - logits[2 * i]!);
  const weights = tensor("main.loss_weight").data;
  const starts = Uint32Array.from({ length: L + 1 }, (_, i) => i);
  const per = tensor("main.loss_per_token").data;
  const args: BitCrossEntropyArgs = {
    delta: upload("f32", [B, L, d], z),
    bits: upload("u32", [B, L, d], bits.data),
    weights: upload("f32", [L], weights),
    gradient: null,
    stats: null,
  };
  const tensorOfSums = poisoned("f32", [L + 1, 4]);
  const stats = {
    starts: upload("u32", [L + 1], starts),
    sums: { tensor: tensorOfSums, add: false },
  };
  bitCrossEntropy(device, { ...args, stats });
  const sums = await device.read(tensorOfSums);
  assertNear([sums[0]!], tensor("main.loss").data, 1e-6, "the loss");
  // every token as a scale of its own: means over the images
  const means = starts.slice(0, L).map(Number);
  assertNear(
    Float64Array.from(means, (l) => sums[4 * l + 5]!),
    Float64Array.from(means, (l) => (per[l]! + per[L + l]!) / 2),
    1e-6,
    "losses of tokens",
  );
  bitCrossEntropy(device, { ...args, reduction: "sum", stats });
  assertNear([(await device.read(tensorOfSums))[0]!], tensor("sum.loss").data, 1e-6, "sums");
  const even = upload("f32", [L], new Float32Array(L).fill(1 / L));
  bitCrossEntropy(device, { ...args, weights: even, smoothing: 0.1, stats });
  assertNear([(await device.read(tensorOfSums))[0]!], tensor("ls.loss").data, 1e-6, "smoothing");
});

Deno.test("bitCrossEntropy() refuses shapes that disagree", () => {
  const args: BitCrossEntropyArgs = {
    delta: poisoned("f32", [2, 5, 4]),
    bits: poisoned("u32", [2, 5, 4]),
    weights: poisoned("f32", [5]),
    gradient: null,
    stats: null,
  };
  const wrong: Partial<BitCrossEntropyArgs>[] = [
    { bits: poisoned("u32", [2, 4, 4]) },
    { bits: poisoned("u32", [1, 5, 4]) },
    { weights: poisoned("f32", [4]) },
    { gradient: { tensor: poisoned("f16", [2, 5, 4]), add: false } },
    { gradient: { tensor: poisoned("f32", [2, 5, 3]), add: false } },
    {
      stats: {
        starts: poisoned("u32", [3]),
        sums: { tensor: poisoned("f32", [2, 4]), add: false },
      },
    },
  ];
  for (const change of wrong) {
    assertThrows(
      () => bitCrossEntropy(device, { ...args, ...change }),
      KernelError,
      "Cannot compare",
    );
  }
  assertEquals(wrong.length, 6);
});
