// The files of a small model in the form of a published one, by their repositories on the hub.
import { encodeSafetensors } from "../../../engine/mod.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { type Preset, REPOSITORY, TEXT_ENCODER } from "../../../model/config/presets.ts";

/** A preset like those of the published models, but small. */
export const TINY: Preset = {
  name: "tiny",
  vae: "d16",
  file: "tiny_weights/model.safetensors.index.json",
  config: {
    name: "tiny",
    files: { vae: "infinity_vae_d16.safetensors" },
    pixel_budgets: ["0.06M"],
    scale_schedule: [[1, 1, 1], [1, 2, 2]],
    image: { width: 32, height: 32 },
    vae: { base_ch: 32, ch_mult: [1, 1, 1, 1, 1], num_res_blocks: 1, codebook_dim: 16 },
    transformer: { embed_dim: 32, depth: 2, num_heads: 2, text_channels: 128, text_maxlen: 4 },
    text_encoder: { vocab_size: 8, d_model: 128, num_layers: 1, num_heads: 2, d_kv: 8, d_ff: 16 },
  },
};

type Files = Record<string, Uint8Array<ArrayBuffer> | string>;

/** A file of small numbers, which differ between tensors. */
export function encode(shapes: readonly NamedShape[]): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(shapes.map(([name, shape], i) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(i / 8);
    return { name, dtype: "F32", shape, data };
  }));
}

/** Two shards and their index. */
export function sharded(index: string, shapes: readonly NamedShape[]): Files {
  const middle = shapes.length >> 1;
  const parts = [shapes.slice(0, middle), shapes.slice(middle)];
  const name = (i: number) => `model-0000${i + 1}-of-00002.safetensors`;
  const weight_map = Object.fromEntries(
    parts.flatMap((part, i) => part.map(([tensor]) => [tensor, name(i)])),
  );
  const folder = index.replace(/[^/]*$/, "");
  return {
    [index]: JSON.stringify({ metadata: {}, weight_map }),
    ...Object.fromEntries(parts.map((part, i) => [`${folder}${name(i)}`, encode(part)])),
  };
}

/** Repositories with all files of TINY, and others. */
export function tinyRepositories(): Record<string, Files> {
  const config = parseConfig(TINY.config, "tiny");
  return {
    [REPOSITORY]: {
      ...sharded(TINY.file!, [...parameterShapes(config.transformer)]),
      "infinity_vae_d16.pth": encode([...vaeShapes(config.vae)]),
      "infinity_2b_reg.pth": new Uint8Array(9),
    },
    [TEXT_ENCODER.repository]: {
      ...sharded(TEXT_ENCODER.weights, [...t5Shapes(config.text_encoder!)]),
      [TEXT_ENCODER.tokenizer]: '{"version":"1.0"}',
    },
  };
}
