import type { Device, Tensor } from "../../../../engine/mod.ts";
import { activation } from "../../../../model/training/ops/activation.ts";
import { add } from "../../../../model/training/ops/add.ts";
import {
  bitCrossEntropy,
  tokenWeights,
} from "../../../../model/training/ops/losses/bit_cross_entropy.ts";
import type { Pass, PassResult, Task } from "../../../../model/training/run/task.ts";
import type { TrainerOptions } from "../../../../model/training/run/trainer_options.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import type { Tape } from "../../../../model/training/tape/tape.ts";
import { random } from "../../../random.ts";

/** Images, tokens and bits of a pass. */
const [B, L, D] = [2, 5, 4];

/** What the tests of a trainer train with. */
export const OPTIONS: TrainerOptions = {
  steps: 20,
  minutes: null,
  schedule: { peak: 0.05, warmup: 5, shape: "cosine", final: 0.1 },
  optimiser: { weightDecay: 0.1, clip: 1, ema: 0.9 },
  every: 1,
  config: { seed: 7, batch: B },
};

/** A tiny problem: logits gelu(x + first) + second must have the signs of x. */
export class Toy implements Task {
  readonly parameters: Parameters;
  /** Passes that were computed. */
  readonly passes: Pass[] = [];
  /** Changes the input of a pass. */
  change: (x: Float32Array<ArrayBuffer>, pass: Pass) => void = () => {};
  readonly #constants: { bits: Tensor; weights: Tensor; starts: Tensor };

  constructor(readonly device: Device, private readonly batch: number = B) {
    this.parameters = new Parameters(device, [
      { name: "first", shape: [batch, L, D], decay: true },
      { name: "second", shape: [batch, L, D], decay: false },
    ]);
    for (const name of ["first", "second"]) {
      const { value } = this.parameters.get(name);
      device.upload(value, Float32Array.from({ length: value.elements }, (_, i) => Math.sin(i)));
    }
    this.#constants = {
      bits: device.tensor("u32", [batch, L, D]),
      weights: device.from("f32", [L], tokenWeights([1, 4], false)),
      starts: device.from("u32", [3], Uint32Array.of(0, 1, L)),
    };
  }

  compute(tape: Tape, pass: Pass): PassResult {
    const { device, batch } = this;
    const { bits, weights, starts } = this.#constants;
    this.passes.push(pass);
    const next = random(100 * pass.step + pass.micro);
    const x = Float32Array.from({ length: batch * L * D }, () => 2 * next() - 1);
    device.upload(bits, Uint32Array.from(x, (v) => v > 0 ? 1 : 0));
    this.change(x, pass);
    const input = device.from("f32", [batch, L, D], x);
    const sums = device.tensor("f32", [3, 4]);
    const h = activation(
      tape,
      add(tape, tape.constant(input), this.parameters.get("first")),
      "gelu",
    );
    const delta = add(tape, h, this.parameters.get("second"));
    const stats = { starts, sums: { tensor: sums, add: false } };
    bitCrossEntropy(tape, delta, { bits, weights, stats });
    return { metrics: { loss: sums }, images: batch, tokens: batch * L, owned: [input, sums] };
  }

  /** Values of all parameters. */
  async read(): Promise<number[][]> {
    const tensors = this.parameters.specs.map(({ name }) => this.parameters.get(name).value);
    return (await this.device.readAll(tensors)).map((values) => [...values]);
  }

  [Symbol.dispose](): void {
    this.parameters.dispose();
    for (const tensor of Object.values(this.#constants)) tensor.dispose();
  }
}
