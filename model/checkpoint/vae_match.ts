/**
 * Which VAE belongs to which transformer. A wrong one draws noise, or, worse, poor images and no error.
 *
 * @module
 */

import { CheckpointError, quote, type TensorFile } from "../../engine/mod.ts";
import { PRESETS, type VaeName, VAES } from "../config/presets.ts";
import type { ModelConfig } from "../config/types.ts";

/** The official VAE that a file name speaks of, whatever its folder, ending or further words. */
export function vaeOfName(path: string): VaeName | null {
  const name = path.split(/[/\\]/).at(-1)!.toLowerCase();
  const match = /infinity_vae_(d\d+)(_?reg|_f8_14_patchify)?(?![a-z0-9])/.exec(name);
  if (!match) return null;
  const kind = match[2]?.replace(/^_f8_14_/, "-").replace(/^_/, "") ?? "";
  const vae = `${match[1]}${kind}`;
  return Object.hasOwn(VAES, vae) ? vae as VaeName : null;
}

/** The official VAEs of so many bits per token, by name. */
function namesFor(bits: number, patchify: boolean): string {
  return Object.values(VAES).flatMap(({ files, config }) => {
    const patches = config.patch_size === 8 ? 4 : 1;
    return config.codebook_dim as number * patches === bits && (patches === 4) === patchify
      ? [files[0]!]
      : [];
  }).join(" or ");
}

/** What the decoder of a VAE's file takes and makes; null if it is none. */
function decoderOf(file: Pick<TensorFile, "tensors">): { bits: number; patch: number } | null {
  const convIn = ["decoder.conv_in.conv.weight", "decoder.conv_in.weight"]
    .map((name) => file.tensors.get(name)).find((tensor) => tensor !== undefined);
  if (!convIn || convIn.shape.length !== 4) return null;
  const doubled = new Set<string>();
  for (const name of file.tensors.keys()) {
    const match = /^decoder\.up\.(\d+)\.upsample\./.exec(name);
    if (match) doubled.add(match[1]!);
  }
  return { bits: convIn.shape[1]!, patch: 2 ** doubled.size };
}

/**
 * Refuses a VAE whose codes are not those that the transformer predicts, and one of the right size that the model was
 * not trained with: d32 in place of d32reg differs in nothing but its name.
 *
 * @throws {CheckpointError} `wrong-vae`: names the right one.
 */
export function checkVaeMatch(
  config: ModelConfig,
  file: Pick<TensorFile, "name" | "metadata" | "tensors">,
): void {
  const { d_vae, apply_spatial_patchify: patchify } = config.transformer;
  const preset = PRESETS.get(config.name);
  const known = preset ? VAES[preset.vae].files[0]! : namesFor(d_vae, patchify);
  const refuse = (why: string): never => {
    const use = known || "the VAE this transformer was trained with";
    throw new CheckpointError("wrong-vae", `Cannot use ${quote(file.name)}: ${why}; use ${use}`);
  };
  const found = decoderOf(file);
  const bits = patchify ? d_vae / 4 : d_vae;
  if (found && found.bits !== bits) {
    const per = patchify ? " per patch" : "";
    refuse(`its codes have ${found.bits} bits, the transformer predicts ${bits}${per}`);
  }
  const { patch_size } = config.vae;
  if (found && found.patch !== patch_size) {
    refuse(`its codes are ${found.patch} pixels wide, config.json makes them ${patch_size}`);
  }
  const named = vaeOfName(config.files.vae) ?? vaeOfName(file.metadata.source ?? "");
  if (preset && named && named !== preset.vae) {
    refuse(`${config.name} was not trained with ${VAES[named].files[0]}`);
  }
}
