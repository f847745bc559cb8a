/** Networks as they are trained, on numbers that cost what real ones do. */

import { fromFileUrl } from "@std/path";
import type { Tensors } from "../kernels/row.ts";
import type { Device, Tensor } from "../../engine/mod.ts";
import { accumulate } from "../../kernels/elementwise/accumulate.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import {
  blockKey,
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../model/config/config.ts";
import { offsets } from "../../model/config/offsets.ts";
import { findPreset } from "../../model/config/presets.ts";
import { referenceGrid, scheduleForImage, vaeSchedule } from "../../model/config/schedule.ts";
import { readTrainConfig } from "../../model/training/config/train_config.ts";
import { initialise } from "../../model/training/initial/initialise.ts";
import {
  type Rules,
  t5Rules,
  transformerRules,
  vaeRules,
} from "../../model/training/initial/rules.ts";
import { block } from "../../model/training/networks/block.ts";
import { parameterSpecs } from "../../model/training/networks/parameter_specs.ts";
import { T5Network } from "../../model/training/networks/t5.ts";
import { TransformerNetwork } from "../../model/training/networks/transformer.ts";
import { VaeNetwork } from "../../model/training/networks/vae.ts";
import { crossLayout, scalesLayout } from "../../model/training/ops/attention/attention_layouts.ts";
import {
  bitCrossEntropy,
  tokenWeights,
} from "../../model/training/ops/losses/bit_cross_entropy.ts";
import { quantise } from "../../model/training/ops/tokenizer/quantise.ts";
import { reconstructionLoss } from "../../model/training/ops/losses/reconstruction_loss.ts";
import { Parameters } from "../../model/training/tape/parameters.ts";
import type { Tape } from "../../model/training/tape/tape.ts";
import { Variable } from "../../model/training/tape/variable.ts";
import { ropeTables } from "../../model/transformer/rope.ts";

/** A network with a loss, ready to run. */
export interface Workload {
  /** What learns. */
  readonly parameters: Parameters;
  /** Does a forward pass up to the loss and its gradient by the output. */
  readonly forward: (tape: Tape) => void;
}

/** A workload that is to be prepared. */
export interface Network {
  readonly name: string;
  readonly shape: string;
  /** Tokens of a pass, or images where there are none. */
  readonly count: number;
  readonly unit: "tokens" | "images";
  readonly open: (device: Device, t: Tensors, dtype: FloatType) => Workload;
}

/** Tokens of a caption. */
const CAPTION = 6;

function learned(device: Device, t: Tensors, shapes: readonly NamedShape[], rules: Rules) {
  const parameters = t.use(new Parameters(device, parameterSpecs(shapes)));
  initialise(device, parameters, rules, 7n);
  return parameters;
}

function normal(device: Device, t: Tensors, ...shape: number[]): Tensor {
  const y = t.use(device.tensor("f32", shape));
  randomNormal(device, { y, key: 7 });
  return y;
}

/** emoji-nano's transformer with its text encoder, as `train transformer` runs them. */
async function transformer(batch: number): Promise<Network> {
  const { model } = await emojiNano();
  const { transformer: config, text_encoder: t5 } = model;
  const schedule = scheduleForImage(model, 32, 32);
  const tokens = schedule.map(([h, w]) => h * w);
  const L = tokens.reduce((sum, n) => sum + n, 0);
  return {
    name: "emoji-nano, transformer and text encoder",
    shape: `${batch}x ${L} tokens`,
    count: batch * L,
    unit: "tokens",
    open(device, t, dtype) {
      const parameters = learned(
        device,
        t,
        [...parameterShapes(config), ...t5Shapes(t5!)],
        [...t5Rules(t5!), ...transformerRules(config)],
      );
      const network = t.adopt(
        new TransformerNetwork(device, config, parameters, {
          schedule,
          referenceGrid: referenceGrid(schedule),
        }),
        (network) => network.dispose(),
      );
      const text = t.adopt(new T5Network(device, t5!, parameters), (text) => text.dispose());
      const ids = Array.from(
        { length: batch },
        (_, i) => Array.from({ length: CAPTION }, (_, k) => (31 * i + 7 * k) % t5!.vocab_size),
      );
      const d = config.d_vae;
      const inputs = t.use(device.tensor(dtype, [batch, L - tokens[0]!, d]));
      randomNormal(device, { y: inputs, key: 8 });
      const bits = t.u32([batch, L, d], (i) => i * 7919 % 13 & 1);
      const each = tokenWeights(tokens, true);
      const weights = t.use(device.from("f32", [L], each));
      const starts = t.u32([tokens.length + 1], (i) => offsets(tokens)[i]!);
      const sums = { tensor: t.f32(tokens.length + 1, 4), add: false };
      return {
        parameters,
        forward(tape) {
          const lens = ids.map((prompt) => prompt.length);
          const condition = network.condition(tape, text.features(tape, ids), lens);
          const delta = network.logits(tape, inputs, condition);
          bitCrossEntropy(tape, delta, { bits, weights, stats: { starts, sums } });
        },
      };
    },
  };
}

/** emoji-nano's tokenizer: encoder, quantiser, decoder. */
async function tokenizer(batch: number): Promise<Network> {
  const { model } = await emojiNano();
  return {
    name: "emoji-nano, tokenizer",
    shape: `${batch}x 32x32`,
    count: batch,
    unit: "images",
    open(device, t) {
      const parameters = learned(device, t, [...vaeShapes(model.vae)], vaeRules());
      const network = new VaeNetwork(model.vae, parameters);
      const images = normal(device, t, batch, 32, 32, 3);
      const schedule = vaeSchedule(model, scheduleForImage(model, 32, 32));
      return {
        parameters,
        forward(tape) {
          const features = network.encode(tape, tape.constant(images));
          const y = network.decode(tape, quantise(tape, features, { schedule }));
          reconstructionLoss(tape, y, { target: images, l1: 1, l2: 2, edges: 0.5 });
        },
      };
    },
  };
}

/** One block of a published model on some images, from a residual stream to its square's gradient. */
function oneBlock(name: string, size: number, images: number): Network {
  const model = parseConfig(findPreset(name).config, name);
  const { transformer: config } = model;
  const { embed_dim: C, num_heads: heads, rope: { mode, base } } = config;
  const schedule = scheduleForImage(model, size, size);
  const tokens = schedule.map(([h, w]) => h * w);
  const L = tokens.reduce((sum, n) => sum + n, 0);
  const key = blockKey(config, 0);
  const text = 64;
  const lens = Array.from({ length: images }, () => text);
  return {
    name: `${name}, one block`,
    shape: `${images}x ${L} tokens`,
    count: images * L,
    unit: "tokens",
    open(device, t) {
      const shapes = [...parameterShapes(config)].filter(([name]) => name.startsWith(`${key}.`));
      const parameters = learned(device, t, shapes, transformerRules(config));
      const tables = ropeTables(schedule, referenceGrid(schedule), C / heads, mode, base);
      const table = (values: Float32Array<ArrayBuffer>) =>
        t.use(device.from("f32", [tables.rows, tables.width], values));
      const attended = {
        self: t.adopt(scalesLayout(device, images, tokens), (layout) => layout.dispose()),
        cross: t.adopt(crossLayout(device, L, lens), (layout) => layout.dispose()),
        rope: { cos: table(tables.cos), sin: table(tables.sin) },
      };
      const [x, shared, features, dy] = [
        normal(device, t, images * L, C),
        normal(device, t, images, 6 * C),
        normal(device, t, images * text, C),
        normal(device, t, images * L, C),
      ] as const;
      return {
        parameters,
        forward(tape) {
          // gradients by the block's inputs are wanted, as in the middle of a network
          const input = (value: Tensor) => Variable.tracked(device, value);
          const condition = {
            pooled: tape.constant(shared),
            headAda: tape.constant(shared),
            shared: input(shared),
            text: input(features),
            lens,
          };
          const stream = input(x);
          const y = block(tape, parameters, config, key, stream, condition, attended);
          y.receive((where) => accumulate(device, dy, where));
          for (const variable of [stream, condition.shared, condition.text]) {
            tape.keep({ dispose: () => variable.release()?.dispose() });
          }
        },
      };
    },
  };
}

function emojiNano() {
  const path = new URL("../../examples/training/emoji-nano.json", import.meta.url);
  return readTrainConfig(fromFileUrl(path));
}

/** All networks, with batches that fill an adapter. */
export async function networks(adapter: "cpu" | "gpu"): Promise<readonly Network[]> {
  const [batch, images] = adapter === "gpu" ? [512, 16] : [16, 1];
  return [await transformer(batch), await tokenizer(batch), oneBlock("125m", 256, images)];
}
