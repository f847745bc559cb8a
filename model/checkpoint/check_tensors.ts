/**
 * Checks from its header alone, before any weight is read, that a file is the checkpoint that config.json describes.
 *
 * @module
 */

import { CheckpointError, quote, type TensorFile } from "../../engine/mod.ts";
import { scalesFault, scalesOf, storedBlocks } from "./quantised_blocks.ts";
import { checkVaeMatch } from "./vae_match.ts";
import { type NamedShape, parameterShapes, t5Shapes, vaeShapes } from "./tensor_shapes.ts";
import type { ModelConfig } from "../config/types.ts";

/** The files of a model that hold tensors, by their keys in config.json. */
export type Part = "transformer" | "vae" | "text_encoder";

/** The header of a file of tensors. */
export type Header = Pick<TensorFile, "name" | "metadata" | "tensors">;

/** The network that is read from a part: a VAE's file holds two. */
export type Use = Part | "vae_encoder";

/** Each network's title, the names that identify it, and the names that its file may hold besides. */
const PARTS: Readonly<Record<Use, { title: string; mark: RegExp; harmless: RegExp }>> = {
  transformer: {
    title: "an Infinity transformer",
    mark: /^(word_embed|block_chunks\.|blocks\.|text_proj_for_sos\.)/,
    // constant zeros, and training buffers
    harmless:
      /(^|\.)(zero_k_bias|lvl_1L|attn_bias_for_masking|Infinity_visible_kvlen|Infinity_invisible_qlen)$/,
  },
  vae: {
    title: "a VAE",
    mark: /^decoder\.(conv_in|up)\./,
    // the encoder, and the quantisers' constant mask; vae.py, load_cnn, ignores unknown names
    harmless: /^(?!decoder\.)/,
  },
  vae_encoder: { title: "a VAE", mark: /^encoder\.(conv_in|down)\./, harmless: /^(?!encoder\.)/ },
  text_encoder: {
    title: "a T5 encoder",
    mark: /^encoder\.block\./,
    // the decoder, and other names of the embedding
    harmless: /^(?!encoder\.(block|final_layer_norm)\.)/,
  },
};

/** Lists the tensors that the loader needs. */
function* needed(config: ModelConfig, part: Use): Generator<NamedShape> {
  if (part === "transformer") yield* parameterShapes(config.transformer);
  else if (part === "text_encoder") {
    if (config.text_encoder) yield* t5Shapes(config.text_encoder);
  } else {
    const side = part === "vae" ? "decoder." : "encoder.";
    for (const entry of vaeShapes(config.vae)) if (entry[0].startsWith(side)) yield entry;
  }
}

/** Returns another name that the loader accepts for a tensor. */
function otherName(name: string, part: Use): string | null {
  // older VAE files lack the inner name
  if (part === "vae" || part === "vae_encoder") {
    return name.replace(/\.(conv|norm)\.(weight|bias)$/, ".$2");
  }
  return name === "shared.weight" ? "encoder.embed_tokens.weight" : null;
}

/** Lists the first five names, and the number of others. */
function list(names: readonly string[]): string {
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return names.slice(0, 5).map(quote).join(", ") + more;
}

function tensors(count: number): string {
  return count === 1 ? "1 tensor" : `${count} tensors`;
}

/** Sizes of 1 carry no meaning: [1, 1, 6, C] equals [6, C]. */
function squeezed(shape: readonly number[]): string {
  return shape.filter((size) => size !== 1).join();
}

/**
 * Checks the names and shapes of a part's tensors, and that a VAE matches the transformer.
 *
 * @throws {CheckpointError} `wrong-vae`, `another-model`, `no-encoder`, `missing-tensor` or `extra-tensor` (with the
 * first five names and the count), or `wrong-shape` (with both shapes).
 */
export function checkTensors(config: ModelConfig, part: Use, file: Header): void {
  const { harmless } = PARTS[part];
  const refuse = (code: string, why: string): never => {
    throw new CheckpointError(code, `Cannot load ${quote(file.name)}: ${why}`);
  };
  const known = new Set<string>();
  const missing: string[] = [];
  const reshaped: string[] = [];
  let count = 0;
  for (const [name, shape] of needed(config, part)) {
    count++;
    const other = otherName(name, part);
    const found = file.tensors.has(name)
      ? name
      : other !== null && file.tensors.has(other) && other;
    if (!found) {
      missing.push(name);
      continue;
    }
    known.add(found);
    const blocks = storedBlocks(file.tensors, found);
    if (blocks?.scales) known.add(scalesOf(found));
    else if (blocks) missing.push(scalesOf(found));
    const is = blocks?.shape ?? file.tensors.get(found)!.shape;
    if (squeezed(is) !== squeezed(shape)) {
      const dims = `[${is.join(", ")}]${blocks ? ` in ${blocks.type}` : ""}`;
      reshaped.push(
        `tensor ${quote(found)} is ${dims}, config.json makes it [${shape.join(", ")}]`,
      );
    } else if (blocks) {
      const fault = scalesFault(found, blocks);
      if (fault !== null) reshaped.push(fault);
    }
  }
  const extra = [...file.tensors.keys()].filter((name) => !known.has(name) && !harmless.test(name));
  if (part === "vae_encoder" && missing.length === count) {
    refuse("no-encoder", "it has no encoder, so it cannot read images; use the complete VAE");
  }
  if (missing.length > count / 2) {
    const of = missing.length === count ? "none" : `only ${count - missing.length}`;
    refuse(
      "another-model",
      `it ${looksLike(file, part)}: it has ${of} of the ${count} tensors that config.json needs, ` +
        `${quote(missing[0]!)} is missing`,
    );
  }
  if (part === "vae") checkVaeMatch(config, file);
  const lines = [
    missing.length && `${tensors(missing.length)} missing: ${list(missing)}`,
    extra.length && `${tensors(extra.length)} that config.json does not describe: ${list(extra)}`,
  ].filter((line) => line !== 0);
  if (lines.length) {
    refuse(missing.length ? "missing-tensor" : "extra-tensor", lines.join("; "));
  }
  if (reshaped.length) {
    const more = reshaped.length > 1 ? `; ${reshaped.length - 1} more differ` : "";
    refuse("wrong-shape", reshaped[0]! + more);
  }
}

/** Says what a file looks like that is not the checkpoint wanted. */
function looksLike(file: Header, part: Use): string {
  const names = [...file.tensors.keys()];
  if (names.length === 0) return "holds no tensors";
  // the most distinctive first: a VAE's encoder could pass for a T5's
  for (const other of ["transformer", "text_encoder", "vae"] as const) {
    if (other === part || !names.some((name) => PARTS[other].mark.test(name))) continue;
    return `looks like ${PARTS[other].title}, not ${PARTS[part].title}`;
  }
  return "is the checkpoint of another model";
}
