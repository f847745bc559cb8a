import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { KernelError, type Tensor } from "../../../engine/mod.ts";
import { globalNorm, type GlobalNormArgs } from "../../../kernels/optimiser/global_norm.ts";
import { assertNear, device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";
import { makeStatus, readStatus } from "./status.ts";

const options = {
  loss: 0,
  entry: 64,
  unscale: 1,
  clip: 0.5,
  betas: [0.9, 0.97],
  ema: 0.999,
  step: 6,
  stop: true,
} as const;

/** A journal whose first element is the loss. */
function makeJournal(loss: number): Tensor {
  const journal = poisoned("f32", [128]);
  device.upload(journal, Float32Array.of(loss));
  return journal;
}

/** The entry of a journal: norm, stopped, skip; nothing else may have changed. */
async function readEntry(journal: Tensor): Promise<number[]> {
  const floats = await device.read(journal) as Float32Array<ArrayBuffer>;
  const words = new Uint32Array(floats.buffer);
  const rest = words.filter((_, i) => i !== 0 && (i < 64 || i > 66));
  assertEquals(rest.every((word) => word === 0xffffffff), true);
  return [floats[64]!, words[65]!, words[66]!];
}

async function run(grads: readonly Tensor[], changes: Partial<GlobalNormArgs> = {}, loss = 1) {
  const status = makeStatus();
  const journal = makeJournal(loss);
  globalNorm(device, { ...options, grads, status, journal, ...changes });
  return { status: await readStatus(status), entry: await readEntry(journal) };
}

Deno.test("globalNorm() takes the norm over gradients of any sizes, scaled back", async () => {
  const next = random(3);
  for (const sizes of [[1], [5, 64], [4096, 3, 1], [70_001, 20_000], [600_000, 1]]) {
    for (const unscale of [1, 1 / 2048]) {
      const grads = sizes.map((size) => values(next, size));
      const norm = reference.globalNorm(grads, unscale);
      const tensors = grads.map((grad) => upload("f32", [grad.length], grad));
      const { status, entry } = await run(tensors, { unscale });
      assertNear([entry[0]!], [norm], 1e-6, `${sizes}`);
      assertEquals(entry.slice(1), [0, 0]);
      assertNear([status.FACTOR], [reference.factor(norm, unscale, 0.5)], 1e-6);
      assertEquals([status.SKIP, status.STOPPED, status.UPDATES], [0, 0, 1]);
    }
  }
});

Deno.test("globalNorm() reads nothing beyond a view, and of no gradients takes 0", async () => {
  const page = poisoned("f32", [100]);
  device.upload(page, Float32Array.of(3, 4));
  assertEquals((await run([page.rows(0, 2)])).entry, [5, 0, 0]);
  assertEquals((await run([])).entry, [0, 0, 0]);
  assertEquals((await run([page.rows(0, 0), page.rows(0, 1)])).entry, [3, 0, 0]);
});

Deno.test("globalNorm() clips only larger norms, and none if it is asked to", async () => {
  const grad = upload("f32", [2], [3, 4]);
  for (
    const [clip, factor] of [[2.5, 2.5 / (5 + 1e-6)], [6, 1], [null, 1], [
      5,
      5 / (5 + 1e-6),
    ]] as const
  ) {
    const { status } = await run([grad], { clip });
    assertAlmostEquals(status.FACTOR, factor, 1e-7);
  }
});

Deno.test("globalNorm() counts updates, corrections and the ramp of the average exactly", async () => {
  const status = makeStatus();
  const journal = makeJournal(1);
  const grads = [upload("f32", [1], [1])];
  for (let n = 1; n <= 300; n++) {
    globalNorm(device, { ...options, grads, status, journal, ema: 0.95 });
    if (![1, 2, 10, 300].includes(n)) continue;
    const { UPDATES, CORRECTION1, CORRECTION2, EMA_REST } = await readStatus(status);
    assertEquals(UPDATES, n);
    for (const [correction, beta] of [[CORRECTION1, 0.9], [CORRECTION2, 0.97]] as const) {
      // each update rounds twice, once if it is fused; what is rounded decays
      assertNear([correction], [1 - beta ** n], 2 ** -23 * Math.min(n, 1 / (1 - beta)));
    }
    assertNear([EMA_REST], [1 - reference.emaDecay(0.95, n)], 2e-6);
  }
});

Deno.test("globalNorm() stops at the first norm or loss that is not finite, and stays so", async () => {
  const sound = upload("f32", [3], [1, 2, 3]);
  for (const bad of [NaN, Infinity, -Infinity]) {
    const status = makeStatus();
    const journal = makeJournal(1);
    const broken = upload("f32", [4097], new Float32Array(4097).with(4000, bad));
    globalNorm(device, { ...options, grads: [sound], status, journal, step: 0 });
    globalNorm(device, { ...options, grads: [sound, broken], status, journal, step: 1 });
    globalNorm(device, { ...options, grads: [sound], status, journal, step: 2 });
    const { SKIP, STOPPED, UPDATES } = await readStatus(status);
    assertEquals({ SKIP, STOPPED, UPDATES }, { SKIP: 1, STOPPED: 2, UPDATES: 1 });
    assertEquals((await readEntry(journal)).slice(1), [2, 1]);
    const { status: lost } = await run([sound], { stop: false }, bad);
    assertEquals([lost.SKIP, lost.STOPPED], [1, 7]);
  }
});

Deno.test("globalNorm() only skips an update where the loss scale may be too large", async () => {
  const status = makeStatus();
  const journal = makeJournal(1);
  const args = { ...options, status, journal, stop: false };
  globalNorm(device, { ...args, grads: [upload("f32", [1], [Infinity])] });
  const { SKIP, STOPPED, UPDATES } = await readStatus(status);
  assertEquals({ SKIP, STOPPED, UPDATES }, { SKIP: 1, STOPPED: 0, UPDATES: 0 });
  globalNorm(device, { ...args, grads: [upload("f32", [1], [1])] });
  assertEquals((await readStatus(status)).UPDATES, 1);
});

Deno.test("globalNorm() refuses other types, and places that are not in the journal", () => {
  const args = { ...options, status: makeStatus(), journal: makeJournal(1) };
  const bad: Partial<GlobalNormArgs>[] = [
    { grads: [poisoned("f16", [4])] },
    { entry: 126 },
    { loss: -1 },
    { journal: poisoned("u32", [128]) },
    { status: poisoned("u32", [4]) },
  ];
  for (const changes of bad) {
    assertThrows(() => globalNorm(device, { grads: [], ...args, ...changes }), KernelError);
  }
});
