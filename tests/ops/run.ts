/**
 * Runs an op's cases and compares what they make with their references.
 *
 * @module
 */

import type { TensorData } from "../../engine/mod.ts";
import { checkGuards } from "../kernels/guards.ts";
import { device } from "../kernels/harness.ts";
import { Draw } from "./draw.ts";
import { LIMITS } from "./limits.ts";
import { type Case, forced, type Op, type Output } from "./op.ts";

/** Cases that are recorded before anything is read: each read-back takes 10 ms or more. */
const BATCH = 8;

/** What came of an op's cases. */
export interface Result {
  readonly op: Op;
  readonly cases: number;
  /** Largest NMSE of a case. */
  readonly worst: number;
  readonly limit: number;
  /** The first failures, with what repeats them. */
  readonly failures: readonly string[];
}

/** A case to make: its name, and how. */
interface Planned {
  readonly name: string;
  readonly make: () => Case;
}

/**
 * Runs the special cases of an op and `count` random ones. Case i has the seed `seed` + i, so that `--seed` repeats any
 * of them alone.
 */
export async function runOp(op: Op, seed: number, count: number): Promise<Result> {
  const limit = LIMITS[op.kernel]?.[op.rounding];
  if (limit === undefined) throw new Error(`limits.ts has no ${op.rounding} of ${op.kernel}`);
  using _ = forced(device, op);
  const planned: Planned[] = [
    ...Object.entries(op.special ?? {}).map(([name, make]) => ({
      name: `special case "${name}"`,
      make: () => make(new Draw(seed)),
    })),
    ...Array.from({ length: count }, (_, i) => ({
      name: `--seed ${seed + i} --count 1`,
      make: () => op.make(new Draw(seed + i)),
    })),
  ];
  const dispatched = new Set<string>();
  using __ = recordNames(dispatched);
  const failures: string[] = [];
  let worst = 0;
  for (let at = 0; at < planned.length; at += BATCH) {
    const batch = planned.slice(at, at + BATCH);
    let found = await runBatch(batch, limit);
    // alone, so that a guard or an error tells whose it is
    if (found.broken !== null && batch.length > 1) {
      const alone = [];
      for (const one of batch) alone.push(await runBatch([one], limit));
      found = {
        worst: Math.max(...alone.map((one) => one.worst)),
        failures: alone.flatMap((one) => one.failures),
        broken: found.broken,
      };
      if (!found.failures.length) found.failures.push(`${found.broken}, but in no case alone`);
    }
    worst = Math.max(worst, found.worst);
    failures.push(...found.failures);
  }
  const missing = op.runs.filter((name) => !dispatched.has(name));
  if (missing.length && planned.length > 0) failures.push(`dispatched no ${missing}`);
  return { op, cases: planned.length, worst, limit, failures };
}

/** What came of cases; `broken` is an error of all of them. */
interface Found {
  readonly worst: number;
  readonly failures: string[];
  readonly broken: string | null;
}

async function runBatch(planned: readonly Planned[], limit: number): Promise<Found> {
  const failures: string[] = [];
  let worst = 0;
  let broken: string | null = null;
  try {
    using stack = new DisposableStack();
    const cases = planned.map(({ make }) => make());
    for (const { owned = [] } of cases) owned.forEach((one) => stack.use(one));
    const tensors = cases.flatMap(({ outputs }) => outputs.map(({ tensor }) => tensor));
    const read = await device.readAll(tensors);
    let at = 0;
    cases.forEach(({ shape, outputs }, i) => {
      const { error, wrong } = compare(outputs, read.slice(at, at += outputs.length), limit);
      worst = Math.max(worst, error);
      if (wrong) failures.push(`${wrong}; ${shape}; ${planned[i]!.name}`);
    });
  } catch (error) {
    broken = (error as Error).message;
  }
  try {
    await checkGuards();
  } catch (error) {
    broken ??= (error as Error).message;
  }
  if (broken !== null && planned.length === 1) failures.push(`${broken}; ${planned[0]!.name}`);
  return { worst, failures, broken };
}

/** The NMSE over all outputs of a case, and what is wrong. */
function compare(
  outputs: readonly Output[],
  read: readonly TensorData[],
  limit: number,
): { error: number; wrong: string | null } {
  let errors = 0, norm = 0;
  let wrong: string | null = null;
  outputs.forEach(({ expected, exact = limit === 0, flushed = 0, check }, n) => {
    const actual = read[n]!;
    const at = (i: number) => `output ${n}, element ${i}: ${actual[i]}, not ${expected[i]}`;
    if (check) {
      wrong ??= check(actual);
      return;
    }
    if (actual.length !== expected.length) wrong ??= `${actual.length} of ${expected.length}`;
    for (let i = 0; i < expected.length; i++) {
      const a = actual[i]!, e = expected[i]!;
      if (Object.is(a, e) || a === e) {
        norm += Number.isFinite(e) ? e * e : 0;
      } else if (Number.isFinite(a) && Number.isFinite(e) && !exact) {
        errors += (a - e) ** 2;
        norm += e * e;
      } else if (!(a === 0 && Math.abs(e) < flushed)) {
        wrong ??= at(i);
      }
    }
  });
  const error = errors / (norm || 1);
  if (!(error <= limit)) wrong ??= `NMSE ${error.toExponential(2)}`;
  return { error, wrong };
}

/** Collects the names of dispatched kernels, until the result is disposed. */
function recordNames(into: Set<string>): Disposable {
  const run = device.run;
  device.run = (kernel, dispatch) => {
    into.add(kernel.name);
    return run.call(device, kernel, dispatch);
  };
  return {
    [Symbol.dispose]() {
      device.run = run;
    },
  };
}
