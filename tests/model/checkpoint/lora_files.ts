import { fromFileUrl } from "@std/path";
import type { LoraFile, LoraPair } from "../../../model/checkpoint/lora_file.ts";
import { baseFingerprint } from "../../../model/checkpoint/lora_file.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { random } from "../../random.ts";
import { NANO } from "../../nano.ts";

/** Some matrices of emoji-nano, in the transformer and the text encoder, by their shapes. */
export const SOME: Readonly<Record<string, readonly [N: number, K: number]>> = {
  "block_chunks.0.module.0.sa.mat_qkv.weight": [768, 256],
  "block_chunks.1.module.0.ffn.fc1.weight": [1024, 256],
  "head.weight": [64, 256],
  "word_embed.weight": [256, 32],
  "encoder.block.0.layer.0.SelfAttention.k.weight": [256, 256],
};

/** Random adapters for emoji-nano. */
export async function nanoLora(rank = 3, alpha = 6): Promise<LoraFile> {
  const file = await openTensorFile(fromFileUrl(new URL("transformer.safetensors", NANO)));
  const base = await baseFingerprint(file).finally(() => file.close());
  const next = random(7);
  const draw = (count: number, size: number) =>
    Float32Array.from({ length: count }, () => size * (2 * next() - 1));
  const adapters = Object.entries(SOME).map(([name, [N, K]]): [string, LoraPair] => [
    name,
    { A: draw(rank * K, 0.2), B: draw(N * rank, 0.2), shape: [N, K] },
  ]);
  return { rank, alpha, base, baseName: "emoji-nano", adapters: new Map(adapters) };
}
