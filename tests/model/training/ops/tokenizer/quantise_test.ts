import { assert, assertEquals } from "@std/assert";
import type { Tensor } from "../../../../../engine/mod.ts";
import type { Grid } from "../../../../../model/config/grid.ts";
import {
  quantise,
  type QuantiseOptions,
  Tape,
  Variable,
} from "../../../../../model/training/mod.ts";
import { golden } from "../../../../goldens.ts";
import { codes, unitVectors } from "../../../../kernels/bits/references.ts";
import { centralDifferences } from "../../../../kernels/central_differences.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  upload,
  values,
} from "../../../../kernels/harness.ts";
import { channelsLast, resize } from "../../../../kernels/images.ts";
import { codeLosses } from "../../../../kernels/losses/references.ts";

/** z, and the gradient by h of Σ dz · z and the losses. */
async function run(h: Tensor, dz: Tensor, options: QuantiseOptions, lossScale = 1) {
  using tape = new Tape(device, { lossScale });
  const features = Variable.tracked(device, h);
  const z = quantise(tape, features, options);
  const value = await device.read(z.value);
  const sent = device.tensor("f32", dz.shape);
  device.copy(dz, sent);
  z.take(sent);
  tape.unwind();
  const grad = features.release()!;
  const read = await device.read(grad) as Float32Array;
  grad.dispose();
  return { z: value as Float32Array, dh: read };
}

Deno.test("golden: quantise() and its gradient are the official ones", async () => {
  const { config, tensor } = await golden("vae_train");
  const schedule = (config.schedule as number[][]).map(([, h, w]): Grid => [h!, w!]);
  const [h, grad, z, expected] = (["h", "grad_z", "z", "grad_h"] as const)
    .map((name) => channelsLast(tensor(name)));
  const [features, sent] = [upload("f32", h!.shape, h!.data), upload("f32", h!.shape, grad!.data)];
  const made = await run(features, sent, { schedule });
  assertNear(made.z, z!.data, 1e-6, "z");
  assertNear(made.dh, expected!.data, 1e-5, "gradient");
});

/** What does not change as features move a little: the codes that each scale's residual lacks, and the code of each. */
function forwardOf(
  [B, H, W, d]: readonly [number, number, number, number],
  features: Float64Array,
  schedule: readonly Grid[],
) {
  const shape = [B, H, W, d];
  let residual = features;
  const scales = schedule.map(([h, w]) => {
    const taken = features.map((v, i) => v - residual[i]!);
    const bits = resize("area", { shape, data: residual }, h, w).data.map((v) => Number(v > 0));
    const code = codes(bits, [B, h, w, d], [H, W], false);
    residual = residual.map((v, i) => v - code[i]!);
    return { h, w, taken, code };
  });
  const vectors = (data: Float64Array) =>
    scales.map(({ h, w, taken }) => {
      const rest = { shape, data: data.map((v, i) => v - taken[i]!) };
      return unitVectors(resize("area", rest, h, w).data, d);
    });
  return {
    z: scales.reduce(
      (sum, { code }) => sum.map((v, i) => v + code[i]!),
      new Float64Array(B * H * W * d),
    ),
    vectors,
    /** z with unit vectors in place of codes, whose gradient goes straight through. */
    smooth: (data: Float64Array) => {
      const ups = vectors(data).map((n, s) => {
        const { h, w } = scales[s]!;
        return resize("linear", { shape: [B, h, w, d], data: n }, H, W).data;
      });
      return ups.reduce((sum, up) => sum.map((v, i) => v + up[i]!));
    },
  };
}

const CASES: readonly [readonly [number, number, number, number], readonly Grid[]][] = [
  [[1, 1, 1, 3], [[1, 1]]],
  [[2, 4, 3, 5], [[1, 1], [2, 2], [4, 3]]],
  [[1, 3, 5, 8], [[1, 2], [4, 3], [3, 5]]], // one larger than the features
  [[1, 2, 2, 64], [[1, 1], [2, 2]]],
];

Deno.test("quantise() sends gradients straight through, scale by scale", async () => {
  const next = random(101);
  for (const [shape, schedule] of CASES) {
    const count = shape.reduce((product, n) => product * n);
    const features = values(next, count), dz = values(next, count);
    for (const dropScales of [0, 1]) {
      // the first scale is kept
      const some = schedule.slice(0, Math.max(1, schedule.length - dropScales));
      const { z, smooth } = forwardOf(shape, features, some);
      const [expected] = centralDifferences((h) => smooth(h!), [features], dz);
      const [h, sent] = [upload("f32", shape, features), upload("f32", shape, dz)];
      const made = await run(h, sent, { schedule, dropScales });
      assertNear(made.z, z, 1e-6, `z of [${shape}]`);
      assertNear(made.dh, expected!, 5e-6, `gradient of [${shape}], ${dropScales} dropped`);
    }
  }
});

Deno.test("quantise() of f16 sends gradients of f16", async () => {
  const next = random(104);
  const [shape, schedule] = CASES[1]!;
  const features = values(next, 120, "f16"), dz = values(next, 120);
  const { z, smooth } = forwardOf(shape, features, schedule);
  const [expected] = centralDifferences((h) => smooth(h!), [features], dz);
  const made = await run(upload("f16", shape, features), upload("f32", shape, dz), { schedule });
  assertNear(made.z, z, 1e-6);
  assertNear(made.dh, expected!, 1e-3);
});

Deno.test("quantise() adds the gradient of the losses of codes", async () => {
  const next = random(102);
  const weights = { vector: 0.2, codebook: 0.1, commitment: 0.5, inverseTemperature: 3 };
  for (const [shape, schedule] of CASES) {
    const [, , , d] = shape, count = shape.reduce((product, n) => product * n);
    const features = values(next, count), dz = values(next, count);
    const { smooth, vectors } = forwardOf(shape, features, schedule);
    const scales = (h: Float64Array) => vectors(h).map((n) => codeLosses(n, { d, ...weights }));
    const loss = (h: Float64Array) =>
      smooth(h).reduce((sum, v, i) => sum + v * dz[i]!, 0) +
      8 * scales(h).reduce((sum, one) => sum + one[0]!, 0) / schedule.length;
    const [expected] = centralDifferences(
      (h) => Float64Array.of(loss(h!)),
      [features],
      Float64Array.of(1),
    );
    const stats = poisoned("f32", [4]);
    const made = await run(
      upload("f32", shape, features),
      upload("f32", shape, dz),
      { schedule, losses: { ...weights, stats: { tensor: stats, add: false } } },
      8,
    );
    assertNear(made.dh, expected!, 5e-6, `[${shape}]`);
    const means = [0, 1, 2, 3].map((k) =>
      scales(features).reduce((sum, one) => sum + one[k]!, 0) / schedule.length
    );
    await assertTensor(stats, means, 5e-6, `[${shape}]`);
  }
});

Deno.test("quantise() flips bits of some images at random, and frees what it made", async () => {
  const next = random(103);
  const shape = [8, 4, 4, 16] as const, count = 8 * 256;
  const [h, dz] = [
    upload("f32", shape, values(next, count)),
    upload("f32", shape, values(next, count)),
  ];
  const schedule: Grid[] = [[1, 1], [2, 2], [4, 4]];
  const flips = { most: 0.3, odds: 0.5, random: { seed: 3, step: 1 } };
  const before = device.memory.liveBytes;
  const plain = await run(h, dz, { schedule });
  const flipped = await run(h, dz, { schedule, flips });
  assertEquals((await run(h, dz, { schedule, flips })).z, flipped.z);
  assertEquals(device.memory.liveBytes, before);
  const other = await run(h, dz, { schedule, flips: { ...flips, random: { seed: 3, step: 2 } } });
  assert(other.z.some((v, i) => v !== flipped.z[i]));
  const changed = Array.from({ length: 8 }, (_, b) => {
    const own = (z: Float32Array) => z.subarray(b * 256, (b + 1) * 256);
    return own(flipped.z).some((v, i) => v !== own(plain.z)[i]);
  });
  const images = changed.filter(Boolean).length;
  assert(images > 0 && images < 8, `${images} images of 8 changed`);
});
