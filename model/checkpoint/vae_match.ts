/**
 * Checks that a VAE is the one that a transformer was trained with. A wrong one makes noise or, worse, poor images
 * without an error.
 *
 * @module
 */

import { CheckpointError, quote, type TensorFile } from "../../engine/mod.ts";
import { PRESETS, type VaeName, VAES } from "../config/presets.ts";
import type { ModelConfig } from "../config/types.ts";

/** Returns the official VAE that a file name contains, whatever its folder and extension. */
export function vaeOfName(path: string): VaeName | null {
  const name = path.split(/[/\\]/).at(-1)!.toLowerCase();
  const match = /infinity_vae_(d\d+)(_?reg|_f8_14_patchify)?(?![a-z0-9])/.exec(name);
  if (!match) return null;
  const kind = match[2]?.replace(/^_f8_14_/, "-").replace(/^_/, "") ?? "";
  const vae = `${match[1]}${kind}`;
  return Object.hasOwn(VAES, vae) ? vae as VaeName : null;
}

/** Names the official VAEs with this many bits per token. */
function namesFor(bits: number, patchify: boolean): string {
  return Object.values(VAES).flatMap(({ files, config }) => {
    const patches = config.patch_size === 8 ? 4 : 1;
    return config.codebook_dim as number * patches === bits && (patches === 4) === patchify
      ? [files[0]!]
      : [];
  }).join(" or ");
}

/** Reads bits per code and pixels per code from a VAE's decoder; null if the file has no decoder. */
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
 * Refuses a VAE whose codes differ from those that the transformer predicts, and a VAE of the right shapes that a
 * published model was not trained with: d32 and d32reg differ in their file names only.
 *
 * @throws {CheckpointError} `wrong-vae`: the message names the right one.
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
