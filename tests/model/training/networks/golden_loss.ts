/** Runs the whole network on the batches of the golden `loss`. */

import type { Tensor } from "../../../../engine/mod.ts";
import { parameterShapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import { referenceGrid, schedules } from "../../../../model/config/schedule.ts";
import type { ModelConfig } from "../../../../model/config/types.ts";
import { parameterSpecs } from "../../../../model/training/networks/parameter_specs.ts";
import { TransformerNetwork } from "../../../../model/training/networks/transformer.ts";
import {
  bitCrossEntropy,
  tokenWeights,
} from "../../../../model/training/ops/losses/bit_cross_entropy.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { Tape, type TapeOptions } from "../../../../model/training/tape/tape.ts";
import { golden } from "../../../goldens.ts";
import { device, upload } from "../../../harness.ts";
import { configOf } from "../../transformer/golden_transformer.ts";

/** How a batch differs from the case `main`. */
export interface Options extends TapeOptions {
  readonly x?: string;
  readonly bits?: string;
  readonly dropped?: readonly boolean[];
  readonly reweight?: boolean;
  readonly smoothing?: number;
  readonly reduction?: "mean" | "sum";
  readonly recompute?: boolean;
}

/** transformer_tiny with parameters that can be trained. */
export class GoldenLoss implements Disposable {
  private constructor(readonly config: ModelConfig, readonly parameters: Parameters) {}

  static async load(): Promise<GoldenLoss> {
    const weights = await golden("transformer_tiny");
    const config = configOf(weights, await golden("vae_d16"));
    const specs = parameterSpecs(parameterShapes(config.transformer));
    const parameters = new Parameters(device, specs);
    for (const { name } of specs) {
      device.upload(parameters.get(name).value, weights.tensor(name).data);
    }
    return new GoldenLoss(config, parameters);
  }

  /** Computes loss and gradients of a batch. */
  async run(options: Options = {}): Promise<{ loss: number; logits: Float32Array }> {
    const { config: { transformer }, parameters } = this;
    const { x = "main.x_BLC_wo_prefix", bits = "main.gt_bits", dropped, reweight = true } = options;
    const file = await golden("loss");
    const at = (name: string) => {
      const { shape, data } = file.tensor(name);
      return upload(data instanceof Uint8Array ? "u32" : "f32", shape, data);
    };
    const schedule = schedules(1, "0.06M");
    const tokens = schedule.map(([h, w]) => h * w);
    const lens = [...file.tensor<Int32Array<ArrayBuffer>>("text_lens").data];
    const network = new TransformerNetwork(device, transformer, parameters, {
      schedule,
      referenceGrid: referenceGrid(schedule),
      recompute: options.recompute ?? false,
    });
    using stack = new DisposableStack();
    const use = (tensor: Tensor) => stack.use(tensor);
    const weights = tokenWeights(tokens, reweight);
    const starts = tokens.reduce((all, n) => [...all, all.at(-1)! + n], [0]);
    const sums = use(upload("f32", [tokens.length + 1, 4], Array(4 * tokens.length + 4).fill(0)));
    const inputs = use(at(x));
    const targets = use(at(bits));
    const share = use(upload("f32", [weights.length], weights));
    const scales = use(upload("u32", [starts.length], starts));
    const text = use(at("text"));

    const tape = new Tape(device, options);
    const condition = network.condition(tape, tape.constant(text), lens, dropped);
    const delta = network.logits(tape, inputs, condition);
    bitCrossEntropy(tape, delta, {
      bits: targets,
      weights: share,
      smoothing: options.smoothing ?? 0,
      reduction: options.reduction ?? "mean",
      stats: { starts: scales, sums: { tensor: sums, add: false } },
    });
    const logits = await device.read(delta.value) as Float32Array;
    tape.unwind();
    network.dispose();
    return { loss: (await device.read(sums))[0]!, logits };
  }

  [Symbol.dispose](): void {
    this.parameters.dispose();
  }
}
