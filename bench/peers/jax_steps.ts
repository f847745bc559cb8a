import { EPS } from "./cases.ts";
import type { Prepared } from "./engine.ts";
import type { Jax, JaxArray } from "./jax_api.ts";
import { ADAM, type AttentionStep, type MlpStep, stepResult } from "./steps.ts";

/** Logits of x and what is learnt. A function takes ownership of its arguments. */
function logits(jax: Jax, problem: MlpStep | AttentionStep, x: JaxArray, learnt: JaxArray[]) {
  const { numpy, nn } = jax;
  if (problem.op === "mlp_step") {
    const [w1, w2] = learnt as [JaxArray, JaxArray];
    return numpy.matmul(nn.silu(numpy.matmul(x, w1)), w2);
  }
  const { B, L, C, heads } = problem;
  const [weight, bias, qkv, out] = learnt as [JaxArray, JaxArray, JaxArray, JaxArray];
  const normed = nn.standardize(x.ref, -1, { epsilon: EPS }).mul(weight).add(bias);
  const all = numpy.matmul(normed, qkv);
  const [q, k, v] = numpy.split(all, 3, -1).map((part) =>
    part.reshape([B, L, heads, C / heads])
  ) as [JaxArray, JaxArray, JaxArray];
  const attended = nn.dotProductAttention(q, k, v).reshape([B * L, C]);
  return x.add(numpy.matmul(attended, out));
}

/** Steps by jax-js: loss, gradients and Adam in one compiled function. */
export function prepareStep(jax: Jax, problem: MlpStep | AttentionStep): Prepared {
  const { numpy, nn } = jax;
  const { M, learnt } = problem;
  const { rate, betas: [beta1, beta2], eps } = ADAM;
  const count = learnt.length;
  const loss = (...args: JaxArray[]) => {
    const [x, bits] = args as [JaxArray, JaxArray];
    const delta = logits(jax, problem, x, args.slice(2));
    return numpy.mean(nn.softplus(delta.ref).sub(delta.mul(bits)));
  };
  const argnums = learnt.map((_, i) => 2 + i);
  const lossAndGradients = jax.valueAndGrad(loss, { argnums });
  const step = jax.jit((...args: JaxArray[]): JaxArray[] => {
    const [x, bits, power1, power2, ...state] = args as [JaxArray, JaxArray, JaxArray, JaxArray];
    const part = (i: number) => (state as JaxArray[]).slice(i * count, (i + 1) * count);
    const [values, means, squares] = [part(0), part(1), part(2)];
    const [value, gradients] = lossAndGradients(x, bits, ...values.map(({ ref }) => ref));
    const powers = [power1.mul(beta1), power2.mul(beta2)] as const;
    const m = means.map((mean, i) => mean.mul(beta1).add(gradients[i]!.ref.mul(1 - beta1)));
    const v = squares.map((square, i) => {
      const gradient = gradients[i]!;
      return square.mul(beta2).add(gradient.ref.mul(gradient).mul(1 - beta2));
    });
    const updated = values.map((value, i) => {
      const [rest1, rest2] = powers.map((power) => power.ref.mul(-1).add(1)) as [
        JaxArray,
        JaxArray,
      ];
      const deviation = numpy.sqrt(v[i]!.ref.div(rest2)).add(eps);
      return value.sub(m[i]!.ref.div(rest1).div(deviation).mul(rate));
    });
    return [value, ...powers, ...updated, ...m, ...v];
  });
  const array = (data: Float32Array<ArrayBuffer>, ...shape: number[]) =>
    numpy.array(data, { shape });
  const zeros = () =>
    learnt.map(({ shape, data }) => array(new Float32Array(data.length), ...shape));
  const x = array(problem.x, M, problem.x.length / M);
  const bits = array(problem.bits, M, problem.bits.length / M);
  const ones = [1, 1].map((one) => array(Float32Array.of(one), 1));
  let state = [
    ...ones,
    ...learnt.map(({ shape, data }) => array(data, ...shape)),
    ...zeros(),
    ...zeros(),
  ];
  let last: JaxArray | undefined;
  return {
    step: 1,
    async run(times) {
      for (let i = 0; i < times; i++) {
        last?.dispose();
        [last, ...state] = step(x.ref, bits.ref, ...state) as [JaxArray, ...JaxArray[]];
      }
      await jax.blockUntilReady([last!, ...state]);
    },
    async output() {
      const read = (array: JaxArray) => array.ref.data();
      const values: Float32Array[] = [];
      for (const value of state.slice(2, 2 + count)) values.push(await read(value));
      return stepResult((await read(last!))[0]!, values);
    },
    dispose() {
      for (const array of [x, bits, ...state, last]) array?.dispose();
    },
  };
}
