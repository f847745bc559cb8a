/**
 * `deno task test:ops [--kernel K] [--variant V] [--dtype D] [--seed S] [--count N]`: compares every kernel, in every
 * variant that this adapter runs, with float64 on random shapes. tests/dawn.sh run tests/ops/main.ts does the same on
 * Dawn, and BITWISE_CLASS=gpu takes the variants of a GPU.
 *
 * @module
 */

import { parseArgs } from "../../deps/@std/cli/parse-args.ts";
import { device } from "../kernels/harness.ts";
import { OPS } from "./all.ts";
import { runOp } from "./run.ts";

const flags = ["kernel", "variant", "dtype", "seed", "count"] as const;
const given = parseArgs(Deno.args, {
  string: flags,
  unknown: (name) => {
    console.error(`Unknown argument ${JSON.stringify(name)}, expected --${flags.join(", --")}`);
    Deno.exit(2);
  },
});
const whole = (name: "seed" | "count", otherwise: number) => {
  const value = Number(given[name] ?? otherwise);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${name} is a whole number, not ${JSON.stringify(given[name])}`);
  Deno.exit(2);
};
const seed = whole("seed", 1), count = whole("count", 200);
const chosen = OPS.filter((op) =>
  (["kernel", "variant", "dtype"] as const).every((key) => (given[key] ?? op[key]) === op[key])
);
if (!chosen.length) {
  console.error("No op has this kernel, variant and dtype; without flags, all are listed");
  Deno.exit(2);
}

const { adapter, class: adapterClass, implementation } = device.capabilities;
console.log(`${adapter} by ${implementation}, class ${adapterClass}; ${count} cases from ${seed}`);
let cases = 0, failed = 0, skipped = 0;
for (const op of chosen) {
  const name = `${op.kernel} ${op.variant} ${op.dtype}`.padEnd(46);
  if (op.obstacle) {
    skipped++;
    console.log(`${name} skipped: ${op.obstacle}`);
    continue;
  }
  const begin = performance.now();
  const result = await runOp(op, seed, count);
  cases += result.cases;
  if (result.failures.length) failed++;
  const numbers = result.limit
    ? `NMSE ${result.worst.toExponential(1).padStart(7)}, limit ${result.limit}`
    : "bit-equal";
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const verdict = result.failures.length ? "FAIL" : "ok";
  console.log(`${name} ${result.cases} cases, ${numbers}, ${seconds} s: ${verdict}`);
  for (const failure of result.failures.slice(0, 3)) console.log(`  ${failure}`);
}
console.log(
  `${chosen.length - skipped} ops, ${cases} cases, ${failed} ops failed, ${skipped} skipped`,
);
Deno.exitCode = failed ? 1 : 0;
