import { assert, assertAlmostEquals, assertEquals, assertLess, assertThrows } from "@std/assert";
import { random } from "./random.ts";
import { Agenda } from "../bench/fleet/agenda.ts";
import { erlangC, mostWorkers, waitMD1, waitMDc, waitMMc } from "../bench/fleet/formulas.ts";
import { CARDS, findCard, secondsOf } from "../bench/fleet/service.ts";
import { type Fleet, simulate } from "../bench/fleet/simulate.ts";
import { simulateSizes, sizesTable } from "../bench/fleet/tables.ts";
import { mean } from "../bench/measuring/measure.ts";
import { InputError } from "../engine/mod.ts";

/** A server that takes a second for an image. */
const ONE: Fleet = { workers: 1, batch: 1, seconds: () => 1, rate: 0.7, jobs: 200_000, seed: 1 };

/** Holds two numbers to be equal but for a share. */
function assertNear(actual: number, expected: number, share: number) {
  assertAlmostEquals(actual, expected, share * expected);
}

Deno.test("Agenda runs events by time, and those of one time in the order they were put", () => {
  const next = random(3);
  const times = Array.from({ length: 500 }, () => Math.floor(100 * next()));
  const agenda = new Agenda();
  const seen: [number, number][] = [];
  times.forEach((time, i) => agenda.at(time, () => seen.push([agenda.now, i])));
  agenda.run();
  const sorted = times.map((time, i): [number, number] => [time, i]);
  assertEquals(seen, sorted.sort(([a, i], [b, j]) => a - b || i - j));
});

Deno.test("Erlang's C is what tables of it say", () => {
  assertAlmostEquals(erlangC(1, 0.5), 0.5, 1e-12); // M/M/1: the load
  assertAlmostEquals(erlangC(2, 1), 1 / 3, 1e-12);
  assertAlmostEquals(erlangC(10, 8), 0.40918, 1e-5);
  assertEquals(waitMDc(1, 0.7, 1), waitMD1(0.7, 1));
});

Deno.test("A simulated server with equal times has the wait of M/D/1", () => {
  for (const rate of [0.3, 0.7, 0.9]) {
    const { mean, throughput, busy } = simulate({ ...ONE, rate });
    assertNear(mean - 1, waitMD1(rate, 1), 0.05);
    assertNear(throughput, rate, 0.01);
    assertNear(busy.workers, rate, 0.01);
  }
});

Deno.test("Simulated servers with exponential times have the wait of M/M/c", () => {
  const seconds = (_: number, chance: () => number) => -Math.log(1 - chance());
  for (const [workers, rate] of [[1, 0.7], [4, 3.2], [16, 12.8]] as const) {
    const means = [1, 2, 3].map((seed) => simulate({ ...ONE, workers, rate, seconds, seed }).mean);
    assertNear(mean(means) - 1, waitMMc(workers, rate, 1), 0.07);
  }
});

Deno.test("Queue and store are servers of their own: a job waits in each", () => {
  const fleet = { ...ONE, workers: 1000, rate: 70, storeRate: 100, jobs: 100_000 };
  const { mean, busy } = simulate(fleet);
  assertNear(mean - 1, 1 / 100 + waitMD1(70, 1 / 100), 0.05);
  assertNear(busy.store, 0.7, 0.02);
  // twice half of the queue's time, and more comes in than it carries
  const { throughput } = simulate({ ...fleet, storeRate: Infinity, queueRate: 50, jobs: 20_000 });
  assertNear(throughput, 50, 0.02);
});

Deno.test("Under more than it can do, a fleet fills its batches and makes what they allow", () => {
  const seconds = (images: number) => 1 + 0.25 * images;
  const fleet = { ...ONE, workers: 4, batch: 8, seconds, rate: 30, jobs: 20_000 };
  const { throughput, batch } = simulate(fleet);
  assertNear(throughput, 4 * 8 / 3, 0.02);
  assertNear(batch, 8, 0.01);
});

Deno.test("Joining at the next free start beats waiting while there is room; other settings spoil batches", () => {
  const seconds = (images: number) => 1 + 0.1 * images;
  const fleet = { ...ONE, workers: 4, batch: 8, seconds, rate: 2, jobs: 20_000 };
  const join = simulate(fleet);
  const wait = simulate({ ...fleet, rule: { name: "wait", seconds: 2 } });
  assertLess(join.p50, wait.p50);
  assertLess(join.p99, wait.p99);
  assertLess(join.batch, wait.batch);
  const busy = { ...fleet, rule: { name: "wait", seconds: 2 } } as const;
  assertLess(simulate({ ...busy, kinds: 16 }).batch, 0.6 * simulate(busy).batch);
});

Deno.test("Workers that take jobs early make those wait that others could begin", () => {
  const fleet = { ...ONE, workers: 8, rate: 6.4, jobs: 40_000 };
  const [shared, one, many] = [undefined, 1, 16].map((hold) => simulate({ ...fleet, hold }));
  assertNear(one!.mean, shared!.mean, 0.05);
  assertLess(2 * one!.p99, many!.p99);
  assertNear(many!.throughput, 6.4, 0.02);
});

Deno.test("The same seed has the same outcome, another has not", () => {
  const fleet = { ...ONE, jobs: 1000, kinds: 3 };
  assertEquals(simulate(fleet), simulate(fleet));
  assert(simulate(fleet).mean !== simulate({ ...fleet, seed: 2 }).mean);
});

Deno.test("secondsOf() goes through what was measured, between it by lines, beyond it by the last", () => {
  const card = { points: [[1, 1], [4, 2.5], [8, 3.5]] } as const;
  assertEquals([1, 2, 4, 6, 8, 16].map((n) => secondsOf(card, n)), [1, 1.5, 2.5, 3, 3.5, 5.5]);
  assertEquals(secondsOf({ points: [[1, 6.8]] }, 4), 27.2);
  assertEquals(CARDS["nano-cpu"].points.map(([images]) => images), [1, 2, 4, 8, 16]);
  assertThrows(() => findCard("toString"), InputError, "it must be one of 2b-h200,");
  assertEquals(mostWorkers(100, 4, 2), 50);
});

Deno.test("The table of sizes says what stops a fleet from growing, and agrees with paper where it can", () => {
  const limits = { queueRate: 1e9, storeRate: 60, price: 3.6, load: 0.8, seed: 1 };
  const card = { ...CARDS["2b-h200"], points: [[1, 1]] } as const;
  const rows = [...simulateSizes({ ...limits, card })];
  const alone = rows.filter(({ most }) => most === 1);
  assertEquals(
    alone.map(({ broken }) => broken),
    ["", "", "", "", "store", "store"],
  );
  for (const { mean, paper, broken } of alone) {
    if (!broken) assertNear(mean, paper!, 0.06);
  }
  assertNear(alone[0]!.cost, 1000 * 0.001 / 0.8, 0.03);
  assertEquals(sizesTable(rows).split("\n").length, 1 + rows.length);
});
