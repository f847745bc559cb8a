import { EPS } from "./cases.ts";
import type { Prepared } from "./engine.ts";
import { ADAM, type AttentionStep, type MlpStep, stepResult } from "./steps.ts";
import type { Tf, TfTensor } from "./tfjs_api.ts";

function logits(tf: Tf, problem: MlpStep | AttentionStep, x: TfTensor, learnt: TfTensor[]) {
  if (problem.op === "mlp_step") {
    const [w1, w2] = learnt as [TfTensor, TfTensor];
    const hidden = tf.matMul(x, w1);
    return tf.matMul(tf.mul(hidden, tf.sigmoid(hidden)), w2);
  }
  const { B, L, C, heads } = problem;
  const [weight, bias, qkv, out] = learnt as [TfTensor, TfTensor, TfTensor, TfTensor];
  const centred = tf.sub(x, tf.mean(x, 1, true));
  const deviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), EPS));
  const normed = tf.add(tf.mul(tf.mul(centred, deviation), weight), bias);
  const [q, k, v] = tf.split(tf.matMul(normed, qkv), 3, 1).map((part) =>
    tf.transpose(tf.reshape(part, [B, L, heads, C / heads]), [0, 2, 1, 3])
  ) as [TfTensor, TfTensor, TfTensor];
  const scores = tf.matMul(tf.mul(q, 1 / Math.sqrt(C / heads)), k, false, true);
  const attended = tf.matMul(tf.softmax(scores), v);
  return tf.add(x, tf.matMul(tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [B * L, C]), out));
}

/** Steps by TensorFlow.js and its own Adam. */
export function prepareStep(tf: Tf, problem: MlpStep | AttentionStep): Prepared {
  const { M } = problem;
  const x = tf.tensor(problem.x, [M, problem.x.length / M]);
  const bits = tf.tensor(problem.bits, [M, problem.bits.length / M]);
  const learnt = problem.learnt.map(({ shape, data }) => tf.variable(tf.tensor(data, shape)));
  const { rate, betas, eps } = ADAM;
  const adam = tf.train.adam(rate, ...betas, eps);
  let last: TfTensor | undefined;
  return {
    step: 1,
    async run(times) {
      for (let i = 0; i < times; i++) {
        last?.dispose();
        last = adam.minimize(
          () => {
            const delta = logits(tf, problem, x, learnt);
            return tf.mean(tf.sub(tf.softplus(delta), tf.mul(delta, bits)));
          },
          true,
          learnt,
        );
      }
      await learnt[0]!.data(); // its queue is in order, and it holds some dispatches back until a result is read
    },
    async output() {
      const values: Float32Array[] = [];
      for (const value of learnt) values.push(await value.data());
      return stepResult((await last!.data())[0]!, values);
    },
    dispose() {
      for (const tensor of [x, bits, ...learnt, last, adam]) tensor?.dispose();
    },
  };
}
