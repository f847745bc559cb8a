import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, type Tensor, type TensorData } from "../../../../engine/mod.ts";
import { ENTRY_WORDS } from "../../../../kernels/optimiser/status.ts";
import {
  Optimiser,
  type OptimiserOptions,
} from "../../../../model/training/optimiser/optimiser.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { golden } from "../../../goldens.ts";
import { GoldenLoss } from "../networks/golden_loss.ts";
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

/** Trains transformer_tiny on the batch of the case `main`, and compares with the official code if asked to. */
async function goldenSteps(compare: boolean): Promise<TensorData[]> {
  const { config: { cases: { adamw } }, file, tensor } = await golden("loss");
  using model = await GoldenLoss.load();
  const { parameters } = model;
  assertEquals(
    parameters.specs.filter(({ decay }) => decay).map(({ name }) => name).sort(),
    adamw.decay.toSorted(),
  );
  const { betas, eps, weight_decay: weightDecay, clip_grad_norm: clip, lr } = adamw;
  using optimiser = new Optimiser(device, parameters, { betas, eps, weightDecay, clip });
  for (const step of [1, 2]) {
    const { loss } = await model.run();
    using journal = makeJournal(loss);
    optimiser.step({ ...sound, step: step - 1, rate: lr, journal });
    if (!compare) continue;
    const key = `adamw.step${step}`;
    assertNear([loss], tensor(`${key}.loss`).data, 1e-5, key);
    const [, norm] = await read(journal);
    assertNear([norm!], tensor(`${key}.grad_norm_before_clip`).data, 1e-4, `norm of ${key}`);
    const names = [...file.tensors.keys()].filter((name) => name.startsWith(`${key}.param.`));
    assert(names.length > 25, `${names.length} parameters`);
    const errors: number[] = [];
    for (const name of names) {
      const after = await read(parameters.get(name.slice(`${key}.param.`.length)).value);
      const { data } = tensor(name);
      // matrices are stored rounded
      if (data.length < 4096) after.forEach((v, i) => errors.push(Math.abs(v - data[i]!) / lr));
      assertNear(after, data, 2e-6, name);
    }
    // a change is of the size of the learning rate, and of tiny gradients it hangs on their noise
    errors.sort((a, b) => a - b);
    const most = errors[Math.floor(0.99 * errors.length)]!;
    assert(most < 0.01, `${key}: ${most} learning rates`);
  }
  return await device.readAll(parameters.specs.map(({ name }) => parameters.get(name).value));
}

Deno.test("golden: two steps of AdamW on the whole network, and the same bytes once more", async () => {
  assertEquals(await goldenSteps(false), await goldenSteps(true));
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
