import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, type Tensor } from "../../../../engine/mod.ts";
import { ENTRY_WORDS } from "../../../../kernels/optimiser/status.ts";
import {
  Optimiser,
  type OptimiserOptions,
} from "../../../../model/training/optimiser/optimiser.ts";
import { Parameters, type ParameterSpec } from "../../../../model/training/tape/parameters.ts";
import { golden } from "../../../goldens.ts";
import { assertNear, device, random, values } from "../../../harness.ts";
import * as reference from "../../../kernels/optimiser/references.ts";

/** A journal of a loss, and room for an entry. */
function makeJournal(loss: number): Tensor {
  return device.from("f32", [1 + ENTRY_WORDS], Float32Array.of(loss, 0, 0, 0));
}

const places = { loss: 0, entry: 1 };
const sound = { ...places, unscale: 1, stop: true };

async function read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
  return await device.read(tensor) as Float32Array<ArrayBuffer>;
}

Deno.test("Optimiser takes AdamW's first step of the official code", async () => {
  const { config: { cases: { adamw } }, file, tensor } = await golden("loss");
  const { tensor: weights, config } = await golden("transformer_tiny");
  assert(config);
  const names = [...file.tensors.keys()].filter((name) => name.startsWith("adamw.step1.param."))
    .map((name) => name.slice("adamw.step1.param.".length));
  assert(names.length > 25, `${names.length} parameters`);
  const specs: ParameterSpec[] = names.map((name) => ({
    name,
    shape: weights(name).shape,
    decay: adamw.decay.includes(name),
  }));
  assert(specs.some(({ decay }) => decay) && specs.some(({ decay }) => !decay));
  // stands for all parameters whose gradients are not stored, so that the norm is right
  const others = { name: "others", shape: [1], decay: false };
  using parameters = new Parameters(device, [...specs, others]);
  const norm = tensor("adamw.step1.grad_norm_before_clip").data[0]!;
  let squares = norm ** 2;
  for (const name of names) {
    const { value, grad } = parameters.get(name);
    device.upload(value, weights(name).data);
    const { data } = tensor(`main.grad.${name}`);
    device.upload(grad!, data);
    squares -= data.reduce((sum, g) => sum + g * g, 0);
  }
  device.upload(parameters.get("others").grad!, Float32Array.of(Math.sqrt(squares)));
  using optimiser = new Optimiser(device, parameters, {
    betas: adamw.betas,
    eps: adamw.eps,
    weightDecay: adamw.weight_decay,
    clip: adamw.clip_grad_norm,
  });
  using journal = makeJournal(1);
  optimiser.step({ ...sound, step: 0, rate: adamw.lr, journal });
  assertNear([(await read(journal))[1]!], [norm], 1e-6);
  for (const name of names) {
    const before = weights(name).data;
    const after = await read(parameters.get(name).value);
    const expected = tensor(`adamw.step1.param.${name}`).data;
    // matrices are stored rounded, so that changes are compared; those of tiny gradients are unstable
    const { data: grad } = tensor(`main.grad.${name}`);
    const stable = [...grad.keys()].filter((i) => Math.abs(grad[i]!) > 1e-5);
    const change = (of: Float32Array) => stable.map((i) => (of[i]! - before[i]!) / adamw.lr);
    const exact = before.length < 4096;
    const worst = Math.max(0, ...change(after).map((c, i) => Math.abs(c - change(expected)[i]!)));
    assert(!exact || worst < 6e-4, `${name}: ${worst} learning rates`);
    assertNear(after, expected, exact ? 1e-6 : 2e-6, name);
  }
});

/** Random parameters in several pages, their gradients, and what the reference knows of them. */
function makeToy(options: OptimiserOptions, seed: number) {
  const specs = [
    { name: "matrix", shape: [5, 7], decay: true },
    { name: "bias", shape: [3], decay: false },
    { name: "wide", shape: [130], decay: true },
  ];
  const next = random(seed);
  const parameters = new Parameters(device, specs);
  const states = specs.map(({ name, shape, decay }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const value = values(next, count);
    device.upload(parameters.get(name).value, Float32Array.from(value));
    const zeros = () => new Float64Array(count);
    return {
      name,
      decay,
      state: { value, grad: zeros(), m: zeros(), v: zeros(), ema: value.slice() },
    };
  });
  const optimiser = new Optimiser(device, parameters, options);
  const draw = (scale: number) => {
    for (const { name, state } of states) {
      state.grad.set(values(next, state.grad.length));
      const scaled = Float32Array.from(state.grad, (g) => g * scale);
      device.upload(parameters.get(name).grad!, scaled);
    }
  };
  return { parameters, optimiser, states, draw };
}

Deno.test("Optimiser follows the reference over many steps, with an average and unscaling", async () => {
  const options = {
    betas: [0.9, 0.98],
    weightDecay: 0.1,
    clip: 3,
    ema: 0.6,
    eps: 1e-8,
  } as const;
  const { parameters, optimiser, states, draw } = makeToy(options, 4);
  using journal = makeJournal(1);
  for (let step = 0; step < 12; step++) {
    const rate = 0.01 / (step + 1);
    draw(4096);
    optimiser.step({ ...sound, step, rate, journal, unscale: 1 / 4096 });
    const norm = reference.globalNorm(states.map(({ state }) => state.grad), 1);
    assertNear([(await read(journal))[1]!], [norm], 1e-6);
    for (const { state, decay } of states) {
      reference.adamw(state, {
        ...options,
        factor: reference.factor(norm, 1, 3),
        rate,
        decay: decay ? 0.1 : 0,
        n: step + 1,
      });
    }
  }
  for (const { name, state } of states) {
    const { value, grad } = parameters.get(name);
    const { m, v, ema } = optimiser.moments(name);
    const all = [[value, state.value], [m, state.m], [v, state.v], [ema!, state.ema]] as const;
    for (const [tensor, expected] of all) assertNear(await read(tensor), expected, 2e-6, name);
    assertEquals(await read(grad!), new Float32Array(grad!.elements));
    assertEquals(m.shape, value.shape);
  }
  assertThrows(() => optimiser.moments("none"), CheckpointError, "the moments of none");
  optimiser.dispose();
  parameters.dispose();
});

Deno.test("Optimiser keeps everything as it was before a step that is not finite, for good", async () => {
  const { parameters, optimiser, draw } = makeToy({ ema: 0.9 }, 5);
  const state = async () => {
    const moments = ["matrix", "bias", "wide"].map((name) => optimiser.moments(name));
    const tensors = moments.flatMap(({ m, v, ema }) => [m, v, ema!]);
    return await device.readAll([
      ...parameters.specs.map(({ name }) => parameters.get(name).value),
      ...tensors,
    ]);
  };
  using journal = makeJournal(1);
  draw(1);
  optimiser.step({ ...sound, step: 0, rate: 0.01, journal });
  const before = await state();
  draw(1);
  device.upload(parameters.get("bias").grad!, Float32Array.of(1, NaN, 2));
  optimiser.step({ ...sound, step: 1, rate: 0.01, journal });
  draw(1);
  optimiser.step({ ...sound, step: 2, rate: 0.01, journal });
  assertEquals(await state(), before);
  assertEquals([...new Uint32Array((await read(journal)).buffer, 8)], [2, 1]);
  optimiser.dispose();
  parameters.dispose();
});

Deno.test("Optimiser goes on with the moments and the status of another", async () => {
  const run = async (restart: boolean) => {
    const { parameters, optimiser, draw } = makeToy({}, 6);
    using journal = makeJournal(1);
    for (let step = 0; step < 6; step++) {
      draw(1);
      if (restart && step === 3) {
        const status = await device.read(optimiser.status) as Uint32Array<ArrayBuffer>;
        device.upload(optimiser.status, new Uint32Array(status.length));
        optimiser.restore(status);
      }
      optimiser.step({ ...sound, step, rate: 0.01, journal });
    }
    const read = await device.readAll(
      parameters.specs.map(({ name }) => parameters.get(name).value),
    );
    optimiser.dispose();
    parameters.dispose();
    return read;
  };
  const [whole, restarted] = [await run(false), await run(true)];
  assertEquals(restarted, whole);
});
