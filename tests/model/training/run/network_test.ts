import { assert, assertEquals } from "@std/assert";
import { Device } from "../../../../engine/mod.ts";
import { parameterShapes, t5Shapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import { referenceGrid } from "../../../../model/config/schedule.ts";
import { initialise } from "../../../../model/training/initial/initialise.ts";
import { t5Rules, transformerRules } from "../../../../model/training/initial/rules.ts";
import { parameterSpecs } from "../../../../model/training/networks/parameter_specs.ts";
import { T5Network } from "../../../../model/training/networks/t5.ts";
import { TransformerNetwork } from "../../../../model/training/networks/transformer.ts";
import {
  bitCrossEntropy,
  tokenWeights,
} from "../../../../model/training/ops/losses/bit_cross_entropy.ts";
import { planStep } from "../../../../model/training/run/plan.ts";
import type { Pass, PassResult, Task } from "../../../../model/training/run/task.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import type { TrainerOptions } from "../../../../model/training/run/trainer_options.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import type { Tape } from "../../../../model/training/tape/tape.ts";
import { device } from "../../../harness.ts";
import { random } from "../../../random.ts";
import { PATCHIFY } from "../../checkpoint/patchify_config.ts";

const { transformer, scale_schedule } = PATCHIFY;
const t5 = PATCHIFY.text_encoder!;
const schedule = scale_schedule.map(([, h, w]) => [h, w] as const);
const tokens = schedule.map(([h, w]) => h * w);
const L = tokens.reduce((sum, n) => sum + n, 0);
const d = transformer.d_vae;

const OPTIONS: TrainerOptions = {
  steps: 50,
  minutes: null,
  schedule: { peak: 3e-3, warmup: 5, shape: "cosine", final: 0.1 },
  optimiser: { ema: 0.99 },
};

/** A tiny transformer with its text encoder, which learn two images. */
class Tiny implements Task {
  readonly parameters: Parameters;
  readonly #stack: DisposableStack = new DisposableStack();
  readonly #text: T5Network;
  readonly #network: TransformerNetwork;

  constructor(readonly device: Device, recompute: boolean) {
    const shapes = [...parameterShapes(transformer), ...t5Shapes(t5)];
    this.parameters = this.#stack.use(new Parameters(device, parameterSpecs(shapes)));
    initialise(device, this.parameters, [...t5Rules(t5), ...transformerRules(transformer)], 3n);
    this.#text = new T5Network(device, t5, this.parameters);
    this.#network = new TransformerNetwork(device, transformer, this.parameters, {
      schedule,
      referenceGrid: referenceGrid(schedule),
      recompute,
    });
    this.#stack.defer(() => this.#text.dispose());
    this.#stack.defer(() => this.#network.dispose());
  }

  compute(tape: Tape, { step }: Pass): PassResult {
    const { device } = this;
    const owned = new DisposableStack();
    const images = random(1), noise = random(step);
    const labels = Uint32Array.from({ length: 2 * L * d }, () => Number(images() < 0.5));
    const bits = owned.use(device.from("u32", [2, L, d], labels));
    const x = Float32Array.from({ length: 2 * (L - 1) * d }, () => images() + 0.1 * noise());
    const inputs = owned.use(device.from("f32", [2, L - 1, d], x));
    const weights = owned.use(device.from("f32", [L], tokenWeights(tokens, true)));
    const begins = tokens.map((_, s) => tokens.slice(0, s).reduce((sum, n) => sum + n, 0));
    const starts = owned.use(device.from("u32", [4], Uint32Array.of(...begins, L)));
    const sums = owned.use(device.tensor("f32", [4, 4]));
    const features = this.#text.features(tape, [[5, 9, 1], [7, 1]]);
    const condition = this.#network.condition(tape, features, [3, 2], [false, step % 5 === 0]);
    const delta = this.#network.logits(tape, inputs, condition);
    const stats = { starts, sums: { tensor: sums, add: false } };
    bitCrossEntropy(tape, delta, { bits, weights, stats });
    return { metrics: { loss: sums }, images: 2, tokens: 2 * L, owned: [owned] };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** Trains the tiny network: its parameters, averages and losses. */
async function train(recompute: boolean) {
  using task = new Tiny(device, recompute);
  const losses: number[] = [];
  const onReport = ({ loss }: { loss: number }) => void losses.push(loss);
  using trainer = new Trainer(device, task, { ...OPTIONS, onReport });
  await trainer.run();
  const tensors = task.parameters.specs.flatMap(({ name }) => [
    task.parameters.get(name).value,
    trainer.optimiser.moments(name).ema!,
  ]);
  return { losses, values: await device.readAll(tensors) };
}

Deno.test("A transformer and its text encoder learn, to the same bytes from the same seed", async () => {
  const live = device.memory.liveBytes;
  const first = await train(false);
  assertEquals(device.memory.liveBytes, live);
  assert(first.losses.at(-1)! < 0.6 * first.losses[0]!, `${first.losses}`);
  const second = await train(false);
  assertEquals(second.values, first.values);
  const recomputed = await train(true);
  assertEquals(recomputed.values, first.values);
});

Deno.test("planStep() tells what a whole network holds, within 5 percent", async () => {
  const types = device.capabilities.f16 ? ["f32", "f16"] as const : ["f32"] as const;
  for (const dtype of types) {
    for (const recompute of [false, true]) {
      const options = { ...OPTIONS, dtype, steps: 3 };
      const planned = await planStep(device, (dry) => new Tiny(dry, recompute), options);
      using fresh = await Device.open({ class: device.capabilities.class });
      using task = new Tiny(fresh, recompute);
      using trainer = new Trainer(fresh, task, options);
      await trainer.run();
      const held = fresh.memory.peakBytes;
      assert(Math.abs(planned / held - 1) < 0.05, `${dtype}: planned ${planned}, held ${held}`);
    }
  }
});
