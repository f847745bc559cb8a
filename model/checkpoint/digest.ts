import type { TensorFile } from "../../engine/mod.ts";
import type { ModelConfig } from "../config/types.ts";
import type { Folder } from "./place.ts";

/** Tensors of a file of which a sample is read, and its bytes: a file on the web is asked once for each. */
const [TENSORS, BYTES] = [16, 256];

/**
 * What tells a model's folder from another one of the same name: 16 digits of SHA-256 of its config, of the tensors that
 * its files have, and of samples of the large ones. Training changes those, and so do merged adapters.
 */
export async function digestOf(files: Folder, config: ModelConfig): Promise<string> {
  const { vae, transformer, text_encoder } = config.files;
  const parts: BlobPart[] = [JSON.stringify(config)];
  for (const name of [transformer, vae, ...config.text_encoder ? [text_encoder] : []]) {
    const file = await files.tensors(name);
    parts.push(...await sample(file).finally(() => file.close()));
  }
  const hash = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  return new Uint8Array(hash, 0, 8).toHex();
}

async function sample({ tensors }: TensorFile): Promise<BlobPart[]> {
  const all = [...tensors.values()];
  const mean = all.reduce((sum, { byteLength }) => sum + byteLength, 0) / all.length;
  const large = all.filter(({ byteLength }) => byteLength >= mean);
  const step = Math.ceil(large.length / TENSORS);
  const some = large.filter((_, i) => i % step === 0);
  return [
    JSON.stringify(all.map(({ name, dtype, shape }) => [name, dtype, shape])),
    ...await Promise.all(
      some.map(({ source, offset, byteLength }) =>
        source.read(offset, Math.min(BYTES, byteLength))
      ),
    ),
  ];
}
