import type { Device } from "../../../engine/mod.ts";
import { randomNormal } from "../../../kernels/elementwise/random_normal.ts";
import { type NamedShape, parameterShapes } from "../../checkpoint/tensor_shapes.ts";
import type { TransformerConfig } from "../../config/types.ts";
import type { LoraConfig } from "../config/types.ts";
import type { Adapter } from "../ops/lora.ts";
import type { Parameters, ParameterSpec } from "../tape/parameters.ts";

/** The matrices of a transformer that have adapters. */
const LAYERS: Readonly<Record<LoraConfig["layers"], RegExp>> = {
  attention: /\.(sa\.mat_qkv|sa\.proj|ca\.mat_q|ca\.mat_kv|ca\.proj)\.weight$/,
  blocks: /\.(sa\.mat_qkv|sa\.proj|ca\.mat_q|ca\.mat_kv|ca\.proj|ffn\.fc1|ffn\.fc2)\.weight$/,
  all: /^(?!lvl_embed\.|head\.).*\.weight$/,
};

/** Whether a parameter is the matrix of a linear layer, and not a table of vectors or the head of differences. */
export function isLinear([name, { length }]: NamedShape): boolean {
  return length === 2 && LAYERS.all.test(name);
}

/** Lists the parameters that adapters consist of: `MODULE.lora_A` [rank, K] and `MODULE.lora_B` [N, rank]. */
export function adapterSpecs(
  config: TransformerConfig,
  { rank, layers }: LoraConfig,
): ParameterSpec[] {
  const isAdapted = (named: NamedShape) =>
    isLinear(named) && LAYERS[layers].test(named[0]) &&
    (layers === "all" || /^block/.test(named[0]));
  return [...parameterShapes(config)].filter(isAdapted).flatMap(([name, [N, K]]) => {
    const module = name.replace(/\.weight$/, "");
    return [
      { name: `${module}.lora_A`, shape: [rank, K!], decay: false },
      { name: `${module}.lora_B`, shape: [N!, rank], decay: false },
    ];
  });
}

/** Gives adapters their first values: small random numbers, and zeros, so that they change nothing yet. */
export function initAdapters(device: Device, parameters: Parameters, seed: number): void {
  parameters.specs.forEach(({ name, shape }, i) => {
    const { value } = parameters.get(name);
    if (name.endsWith(".lora_A")) {
      const deviation = 1 / Math.sqrt(3 * shape[1]!);
      randomNormal(device, { y: value, key: (seed + i) >>> 0, deviation });
    } else if (name.endsWith(".lora_B")) {
      device.upload(value, new Float32Array(value.elements));
    }
  });
}

/** The adapter of the layer whose weight has this name, if it has one. */
export function adapterOf(
  parameters: Parameters,
  { rank, alpha }: LoraConfig,
  weight: string,
): Adapter | undefined {
  const module = weight.replace(/\.weight$/, "");
  if (!parameters.has(`${module}.lora_A`)) return undefined;
  return {
    down: parameters.get(`${module}.lora_A`),
    up: parameters.get(`${module}.lora_B`),
    strength: (alpha ?? rank) / rank,
  };
}
