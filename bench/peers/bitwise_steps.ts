import type { Device } from "../../engine/mod.ts";
import { activation } from "../../model/training/ops/activation.ts";
import { addGated } from "../../model/training/ops/transformer/add_gated.ts";
import { attention } from "../../model/training/ops/attention/attention.ts";
import { textLayout } from "../../model/training/ops/attention/attention_layouts.ts";
import {
  bitCrossEntropy,
  tokenWeights,
} from "../../model/training/ops/losses/bit_cross_entropy.ts";
import { layerNorm } from "../../model/training/ops/transformer/layer_norm.ts";
import { linear } from "../../model/training/ops/linear.ts";
import { Optimiser } from "../../model/training/optimiser/optimiser.ts";
import { Parameters } from "../../model/training/tape/parameters.ts";
import { Tape } from "../../model/training/tape/tape.ts";
import type { Variable } from "../../model/training/tape/variable.ts";
import { EPS, transpose } from "./cases.ts";
import type { Prepared } from "./engine.ts";
import { ADAM, type AttentionStep, type MlpStep, stepResult } from "./steps.ts";

/** Makes logits of x and what is learnt. */
type Logits = (tape: Tape, x: Variable, learnt: readonly Variable[]) => Variable;

/** Steps by this project's tape. */
export function prepareStep(device: Device, problem: MlpStep | AttentionStep): Prepared {
  const { M, x: rows, bits: targets } = problem;
  const stack = new DisposableStack();
  const logits = problem.op === "mlp_step" ? mlp : attentionLogits(problem, device, stack);
  const learnt = problem.learnt.map(({ shape, data }, i) => {
    const [inputs = 0, outputs] = shape;
    if (outputs === undefined) return { name: `${i}`, shape, data, back: (y: Float32Array) => y };
    return {
      name: `${i}`,
      shape: [outputs, inputs],
      data: transpose(data, shape, [1, 0]),
      back: (y: Float32Array) => transpose(y, [outputs, inputs], [1, 0]),
    };
  });
  const specs = learnt.map(({ name, shape }) => ({ name, shape, decay: false }));
  const parameters = stack.use(new Parameters(device, specs));
  for (const { name, data } of learnt) device.upload(parameters.get(name).value, data);
  const { rate, betas, eps } = ADAM;
  const optimiser = stack.use(new Optimiser(device, parameters, { betas, eps, clip: null }));
  const x = stack.use(device.from("f32", [M, rows.length / M], rows));
  const N = targets.length / M;
  const bits = stack.use(device.from("u32", [1, M, N], Uint32Array.from(targets)));
  const weights = stack.use(device.from("f32", [M], tokenWeights([M], false)));
  const starts = stack.use(device.from("u32", [2], Uint32Array.of(0, M)));
  const sums = stack.use(device.tensor("f32", [2, 4]));
  const journal = stack.use(device.from("f32", [64], new Float32Array(64)));
  return {
    step: 1,
    async run(times) {
      for (let step = 0; step < times; step++) {
        const tape = new Tape(device);
        const variables = specs.map(({ name }) => parameters.get(name));
        const delta = logits(tape, tape.constant(x), variables).reshape(1, M, N);
        const stats = { starts, sums: { tensor: sums, add: false } };
        bitCrossEntropy(tape, delta, { bits, weights, stats });
        tape.unwind();
        const places = { journal, loss: 0, entry: 1 };
        optimiser.step({ step, rate, unscale: 1, stop: true, ...places });
      }
      await device.finish();
    },
    async output() {
      const [loss, ...values] = await device.readAll([
        sums,
        ...specs.map(({ name }) => parameters.get(name).value),
      ]) as Float32Array[];
      return stepResult(loss![0]!, values.map((value, i) => learnt[i]!.back(value)));
    },
    dispose: () => stack.dispose(),
  };
}

const mlp: Logits = (tape, x, [w1, w2]) =>
  linear(tape, activation(tape, linear(tape, x, w1!), "silu"), w2!);

function attentionLogits(
  { B, L, C, heads }: AttentionStep,
  device: Device,
  stack: DisposableStack,
): Logits {
  const layout = stack.adopt(
    textLayout(device, Array<number>(B).fill(L)),
    (layout) => layout.dispose(),
  );
  return (tape, x, [weight, bias, qkv, out]) => {
    const normed = layerNorm(tape, x, { eps: EPS, weight: weight!, bias: bias! });
    const all = linear(tape, normed, qkv!);
    const scale = 1 / Math.sqrt(C / heads);
    const attended = attention(tape, all, all, all, { layout, heads, scale });
    return addGated(tape, x, linear(tape, attended, out!));
  };
}
