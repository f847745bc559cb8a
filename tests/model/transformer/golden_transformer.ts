import type { Device, Tensor } from "../../../engine/mod.ts";
import { type Golden, golden } from "../../goldens.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { parseConfig } from "../../../model/config/config.ts";
import type { Grid } from "../../../model/config/grid.ts";
import type { ModelConfig } from "../../../model/config/types.ts";
import { makePlan } from "../../../model/generate/plan/plan.ts";
import { Transformer } from "../../../model/transformer/transformer.ts";

/** The project's config of a golden model. */
export function configOf(transformer: Golden, vae: Golden, changes: object = {}): ModelConfig {
  const t = transformer.config;
  const rope = { rope2d_normalized_by_hw: t.rope2d_normalized_by_hw, base: t.rope_base };
  return parseConfig({
    name: transformer.name,
    scale_schedule: t.scale_schedule,
    vae: vae.config,
    transformer: { ...t, rope, ...changes },
  }, transformer.name);
}

/** Logits [.., 2] to differences. */
export function deltas(logits: Float32Array): Float64Array {
  return Float64Array.from(
    { length: logits.length / 2 },
    (_, i) => logits[2 * i + 1]! - logits[2 * i]!,
  );
}

/** Uploads a golden tensor of f32. */
export function uploadGolden(device: Device, from: Golden, name: string): Tensor {
  const { shape, data } = from.tensor(name);
  return device.from("f32", shape, data);
}

/** Loads a golden transformer, with some of its config changed. */
export async function loadTiny(
  device: Device,
  name: string,
  vaeName: string,
  changes: object = {},
  type: WeightType = "f32",
): Promise<{ config: ModelConfig; transformer: Transformer }> {
  const weights = await golden(name);
  const config = configOf(weights, await golden(vaeName), changes);
  const transformer = await Transformer.load(
    new Weights(device, weights.file, type),
    config.transformer,
  );
  return { config, transformer };
}

/** All scales in one pass, as in training. */
export async function teacherForced(
  device: Device,
  transformer: Transformer,
  config: ModelConfig,
  inputs: Golden,
): Promise<{ delta: ArrayLike<number>; pooled: ArrayLike<number> }> {
  const lens = [...inputs.tensor<Int32Array<ArrayBuffer>>("tf.text_lens").data];
  const schedule = config.scale_schedule.map(([, h, w]): Grid => [h, w]);
  const features = uploadGolden(device, inputs, "tf.text");
  const text = transformer.text(features, lens);
  const plan = makePlan(config, {}, lens.length);
  const pass = transformer.plan({
    schedule,
    first: 0,
    last: schedule.length - 1,
    lens,
    batch: lens.length,
  });
  const state = transformer.state(schedule, plan.referenceGrid, [pass]);
  const codes = uploadGolden(device, inputs, "tf.x_BLC_wo_prefix");
  transformer.input(pass, codes, text, state);
  for (let i = 0; i < config.transformer.depth; i++) transformer.block(i, pass, text, state);
  const delta = transformer.head(lens.length, pass, text, state);
  const [logits, pooled] = await device.readAll([delta, text.pooled]);
  for (const t of [features, text, pass, state, codes, delta]) t.dispose();
  return { delta: logits!, pooled: pooled! };
}
