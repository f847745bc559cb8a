/**
 * Finds the model in a checkpoint that also holds optimiser state, averages or other models.
 *
 * @module
 */

import { CheckpointError, quote, type TensorFile, type TensorInfo } from "../../engine/mod.ts";

/** A model's tensors in a checkpoint. */
export interface CheckpointRoot {
  /** The model; `unknown` if none was recognised, or if a key was given. */
  readonly model: "transformer" | "vae" | "unknown";
  /** The key above them, such as `trainer.gpt_fsdp`; empty at the top level. */
  readonly key: string;
  /** The tensors by their names in the model. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Names below the key that inference does not need, left out of `tensors`. */
  readonly dropped: readonly string[];
}

// where trainer.py and utils/save_and_load.py save it; the sharded one first, as in tools/run_infinity.py
const TRANSFORMER = [
  "trainer.gpt_fsdp",
  "trainer.gpt_wo_ddp",
  "gpt_fsdp",
  "gpt_wo_ddp",
  "model",
  "module",
  "state_dict",
  "",
];
// models/bsq_vae/vae.py loads `vae` unless told to take `ema`
const VAE = ["vae", "ema", "model", "state_dict", ""];
/** Buffers that Infinity.load_state_dict recomputes. */
const BUFFERS = [
  "lvl_1L",
  "attn_bias_for_masking",
  "Infinity_visible_kvlen",
  "Infinity_invisible_qlen",
];

/**
 * Finds the transformer in a checkpoint, else the VAE, else takes all tensors.
 *
 * @param file The checkpoint.
 * @param key The dict to take instead, such as `trainer.gpt_ema_fsdp`.
 * @throws {CheckpointError} `key-missing`: no tensors are below `key`; the message lists the keys
 * that exist.
 */
export function checkpointRoot(file: TensorFile, key?: string): CheckpointRoot {
  if (key !== undefined) return takeKey(file, key);
  const has = (at: string, name: string) => file.tensors.has(at ? `${at}.${name}` : name);
  const isTransformer = (at: string) => has(at, "word_embed.weight") && has(at, "cfg_uncond");
  // older files lack the inner ".conv"
  const isVae = (at: string) =>
    has(at, "decoder.conv_in.conv.weight") || has(at, "decoder.conv_in.weight");
  const transformer = TRANSFORMER.find(isTransformer);
  if (transformer !== undefined) return take(file, "transformer", transformer, BUFFERS);
  const vae = VAE.find(isVae);
  return vae !== undefined ? take(file, "vae", vae) : take(file, "unknown", "");
}

function takeKey(file: TensorFile, key: string): CheckpointRoot {
  const root = take(file, "unknown", key, BUFFERS);
  if (root.tensors.size > 0) return root;
  const keys = new Set<string>();
  for (const name of file.tensors.keys()) {
    const parts = name.split(".");
    for (let i = 1; i <= Math.min(2, parts.length - 1); i++) keys.add(parts.slice(0, i).join("."));
  }
  const some = [...keys].slice(0, 5).map(quote).join(", ");
  const detail = keys.size
    ? `; there are ${some}${keys.size > 5 ? ` and ${keys.size - 5} more` : ""}`
    : "";
  throw new CheckpointError(
    "key-missing",
    `Cannot convert ${quote(file.name)}: it has no tensors below ${quote(key)}${detail}`,
  );
}

function take(
  file: TensorFile,
  model: CheckpointRoot["model"],
  key: string,
  drop: readonly string[] = [],
): CheckpointRoot {
  const prefix = key && `${key}.`;
  const tensors = new Map<string, TensorInfo>();
  const dropped: string[] = [];
  for (const [name, info] of file.tensors) {
    if (!name.startsWith(prefix)) continue;
    const own = name.slice(prefix.length);
    if (drop.includes(own)) dropped.push(own);
    else tensors.set(own, info);
  }
  return { model, key, tensors, dropped };
}
