import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, KernelError } from "../../../engine/mod.ts";
import { attention, type AttentionArgs } from "../../../kernels/attention/attention.ts";
import { onePass } from "../../../kernels/attention/attention_one_pass.ts";
import {
  F16_TOLERANCE,
  peakedAttention,
  provesOnePass,
  worstError,
} from "../../../kernels/attention/attention_proof.ts";
import { provenTuning } from "../../../model/parts/tuning.ts";
import { reference } from "./attention_cases.ts";

const gpu = await Device.open({ class: "gpu" });
globalThis.addEventListener("unload", () => gpu.dispose());
const WIDTHS = [20, 64, 128];
const obstacle = onePass(gpu, 64) ? null : `no f16 matrices on ${gpu.capabilities.adapter}`;
if (obstacle) console.log(`attention_proof_test.ts skips tests: ${obstacle}`);

Deno.test("peakedAttention() makes what the plain kernel computes as float64 does", async () => {
  const [queries, keys, heads, headDim] = [30, 77, 2, 20];
  const args = peakedAttention(gpu, { queries, keys, heads, headDim, sharpness: 100 });
  attention(gpu, { ...args, variant: "workgroup" });
  const [q, k, v, y] = (await gpu.readAll([args.q, args.k, args.v, args.y])).map((x) =>
    Float64Array.from(x as Float32Array)
  );
  const at = (row: number) => row * heads * headDim;
  const right = reference({
    ...{ q: q!, k: k!, v: v!, qAt: at, kAt: at, vAt: at, rows: queries, heads, headDim, scale: 1 },
    spans: [[0, queries, 0, keys]],
  });
  assert(worstError(Float32Array.from(y!), Float32Array.from(right)) < 1e-4);
});

Deno.test("provesOnePass() accepts what is right, and refuses what is nearly right", async () => {
  const by = (change: Partial<AttentionArgs>) =>
    provesOnePass(gpu, 64, (args) => attention(gpu, { ...args, variant: "workgroup", ...change }));
  assert(await by({}));
  assert(!await by({ scale: 1.01 }));
  assert(!await by({ kOffset: 4 })); // as if each row of keys began 8 bytes late
  assert(!await by({ maxQueries: 39 })); // rows that nothing writes
});

Deno.test("worstError() finds one wrong element, and one that was not written", () => {
  const right = Float32Array.of(1, -1, 1, -1);
  assertEquals(worstError(Float32Array.of(1, -1, 1, -1), right), 0);
  assert(worstError(Float32Array.of(1, -1, 1.01, -1), right) > F16_TOLERANCE);
  assert(!(worstError(Float32Array.of(1, NaN, 1, -1), right) <= F16_TOLERANCE));
});

Deno.test({
  name: "provesOnePass() proves attention in one pass on tensor cores",
  ignore: obstacle !== null,
  fn: async () => {
    for (const width of WIDTHS) assert(await provesOnePass(gpu, width), `${width}`);
    const tuning = await provenTuning(gpu, undefined, [64, 128], ["attention matrix"]);
    assertEquals(tuning["attention matrix"], [[0, "one-pass"]]);
  },
});

Deno.test({
  name: "provesOnePass() refuses a device without tensor cores",
  ignore: obstacle === null,
  fn: async () => {
    await assertRejects(() => provesOnePass(gpu, 64), KernelError, "Cannot attend by matrices");
  },
});
