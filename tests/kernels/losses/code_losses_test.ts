import { assert, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { codeLosses, type CodeLossesArgs } from "../../../kernels/losses/code_losses.ts";
import { unitVectors } from "../bits/references.ts";
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

const WEIGHTS = [
  { vector: 1, codebook: 1, commitment: 0, inverseTemperature: 100 },
  { vector: 0.3, codebook: 0.7, commitment: 2, inverseTemperature: 5 },
  { vector: 0, codebook: 0, commitment: 1, inverseTemperature: 100 },
  { vector: 1, codebook: 0.5, commitment: 1, inverseTemperature: 0.5 },
] as const;

Deno.test("codeLosses() makes entropies, commitment and their gradient", async () => {
  const next = random(91);
  for (const [rows, d] of [[1, 1], [7, 3], [70, 16], [5, 64], [33, 14]] as const) {
    // ±1 is its own code: only soft ones leave anything to compare
    for (const weights of d === 1 ? WEIGHTS.slice(3) : WEIGHTS) {
      const n = unitVectors(values(next, rows * d), d).map(Math.fround);
      const how = { d, ...weights };
      const expected = reference.codeLossesGradient(n, how);
      if (rows * d < 500) {
        const forward = (n: Float64Array) => reference.codeLosses(n, how).subarray(0, 1);
        const [differences] = centralDifferences(forward, [n], Float64Array.of(1), 1e-6);
        assertNear(expected, differences!, 1e-5, "the reference");
      }
      const stats = poisoned("f32", [4]), gradient = poisoned("f32", [rows, d]);
      const args = { n: upload("f32", [rows, d], n), ...weights };
      codeLosses(device, {
        ...args,
        gradient: { tensor: gradient, add: false },
        stats: { tensor: stats, add: false },
      });
      const what = `[${rows}, ${d}] ${JSON.stringify(weights)}`;
      await assertTensor(stats, reference.codeLosses(n, how), TOLERANCE.f32, what);
      await assertTensor(gradient, expected, 1e-5, what);
      const before = values(next, rows * d);
      const added = upload("f32", [rows, d], before);
      codeLosses(device, {
        ...args,
        gradient: { tensor: added, add: true },
        part: 0.25,
        scale: 2,
        stats: { tensor: stats, add: true },
      });
      const more = expected.map((v, i) => v / 2 + before[i]!);
      await assertTensor(added, more, 1e-5, `${what}, added`);
      const log = reference.codeLosses(n, how).map((v) => 1.25 * v);
      await assertTensor(stats, log, TOLERANCE.f32, `${what}, added`);
      codeLosses(device, { ...args, gradient: null, stats: null });
    }
  }
});

Deno.test("codeLosses() of vectors that all have one code are finite", async () => {
  for (let rows = 1; rows < 60; rows++) {
    const n = Float64Array.from({ length: rows * 4 }, (_, i) => i % 4 < 2 ? 0.5 : -0.5);
    const stats = poisoned("f32", [4]), gradient = poisoned("f32", [rows, 4]);
    codeLosses(device, {
      n: upload("f32", [rows, 4], n),
      vector: 1,
      codebook: 1,
      commitment: 1,
      gradient: { tensor: gradient, add: false },
      stats: { tensor: stats, add: false },
    });
    const read = await device.readAll([stats, gradient]);
    const largest = Math.max(...read.flatMap((data) => [...data].map(Math.abs)));
    assert(largest < 1e-5, `${rows} vectors: ${largest}`);
  }
});

Deno.test("golden: codeLosses() has the official entropies and their gradient", async () => {
  const { tensor } = await golden("vae_train");
  const { shape, data } = tensor("entropy.z");
  const stats = poisoned("f32", [4]), gradient = poisoned("f32", shape);
  codeLosses(device, {
    n: upload("f32", shape, data),
    vector: 1,
    codebook: 1,
    gradient: { tensor: gradient, add: false },
    stats: { tensor: stats, add: false },
  });
  const [loss, vector, codebook] = await device.read(stats);
  const [own, all] = [tensor("entropy.per_sample").data, tensor("entropy.codebook").data];
  assertNear([vector!, codebook!, loss!], [own[0]!, all[0]!, own[0]! - all[0]!], 1e-5);
  const official = tensor("entropy.grad_z_of_per_sample_minus_codebook").data;
  await assertTensor(gradient, official, 1e-5);
});

Deno.test("codeLosses() refuses shapes that disagree", () => {
  const args: CodeLossesArgs = { n: poisoned("f32", [2, 4]), gradient: null, stats: null };
  const wrong: Partial<CodeLossesArgs>[] = [
    { n: poisoned("f16", [2, 4]) },
    { gradient: { tensor: poisoned("f32", [4, 2]), add: false } },
    { stats: { tensor: poisoned("f32", [3]), add: false } },
  ];
  for (const change of wrong) {
    assertThrows(() => codeLosses(device, { ...args, ...change }), KernelError, "losses of codes");
  }
});
