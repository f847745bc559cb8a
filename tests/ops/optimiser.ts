/** Cases of kernels/optimiser. */

import { adamw } from "../../kernels/optimiser/adamw.ts";
import { globalNorm } from "../../kernels/optimiser/global_norm.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import * as reference from "../kernels/optimiser/references.ts";
import { makeStatus } from "../kernels/optimiser/status.ts";
import type { Draw } from "./draw.ts";
import { type Op, plain } from "./op.ts";

/** Most elements of a case. */
const MOST = 4000;

export const OPTIMISER: readonly Op[] = [
  plain("adamw", "f32", "f32", updated),
  {
    ...plain("global_norm", "f32", "f32", normed),
    runs: ["global_norm_parts", "global_norm"],
  },
];

function updated(draw: Draw) {
  const count = draw.size(MOST, 64), n = draw.int(1, 50);
  const ema = draw.of([0, 0.9, 0.9999]), decay = draw.of([0, 0.05]);
  const update = {
    factor: draw.of([1, 0.01]),
    rate: draw.of([1e-3, 0.1]),
    decay,
    betas: draw.of([[0.9, 0.97], [0.9, 0.999], [0.5, 0.9]]),
    eps: 1e-8,
    n,
    ema,
  } as const;
  const state = {
    value: draw.values(count),
    grad: draw.values(count, "f32", 1 / update.factor),
    m: draw.values(count),
    v: draw.values(count).map((v) => Math.fround(0.01 + Math.abs(v))),
    ema: draw.values(count),
  };
  const [value, grad, m, v, average] = [state.value, state.grad, state.m, state.v, state.ema]
    .map((data) => upload("f32", [count], data));
  const [beta1, beta2] = update.betas;
  const status = makeStatus({
    FACTOR: update.factor,
    CORRECTION1: 1 - beta1 ** n,
    CORRECTION2: 1 - beta2 ** n,
    EMA_REST: 1 - reference.emaDecay(ema, n),
  });
  const tensors = { value: value!, grad: grad!, m: m!, v: v!, ema: average! };
  adamw(device, { ...update, ...tensors, status });
  reference.adamw(state, update);
  return {
    shape: `[${count}] update ${n}`,
    outputs: Object.entries(tensors).map(([name, tensor]) => ({
      tensor,
      expected: state[name as keyof typeof state],
    })),
  };
}

function normed(draw: Draw) {
  const grads = Array.from({ length: draw.int(1, 3) }, () => draw.values(draw.size(MOST, 64)));
  const unscale = draw.of([1, 1 / 1024]);
  const journal = poisoned("f32", [8]);
  device.upload(journal, Float32Array.of(1));
  globalNorm(device, {
    grads: grads.map((grad) => upload("f32", [grad.length], grad)),
    status: makeStatus(),
    journal,
    loss: 0,
    entry: 4,
    unscale,
    clip: draw.of([null, 0.5]),
    betas: [0.9, 0.97],
    ema: 0.99,
    step: 0,
    stop: true,
  });
  const norm = reference.globalNorm(grads, unscale);
  return {
    shape: grads.map(({ length }) => `[${length}]`).join(" "),
    outputs: [{ tensor: journal, expected: [1, NaN, NaN, NaN, norm, 0, 0, NaN] }],
  };
}
