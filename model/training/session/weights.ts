import {
  type Device,
  safetensorsHeader,
  type Tensor,
  type TensorEntry,
  type TensorFile,
} from "../../../engine/mod.ts";
import { writeFileAtomic } from "../../checkpoint/files.ts";
import { encodeLora, type LoraPair } from "../../checkpoint/lora_file.ts";
import { QUANTISATION, scalesOf, storedBlocks } from "../../checkpoint/quantised_blocks.ts";
import type { Optimiser } from "../optimiser/optimiser.ts";

/** Which weights a file is made of. */
export interface SavedWeights {
  /** Chooses among the trained parameters by their names; all if absent. */
  readonly keep?: (name: string) => boolean;
  /** A file whose other tensors are copied: those that were not trained. */
  readonly base?: TensorFile | null;
}

/** The trained value of a parameter: its moving average, if there is one. */
function valueOf(optimiser: Optimiser, name: string): Tensor {
  return optimiser.moments(name).ema ?? optimiser.parameters.get(name).value;
}

/**
 * Writes trained parameters, in f32, as a safetensors file of a model folder.
 *
 * @throws {FileError} It cannot be written; the previous one stays.
 */
export async function saveWeights(
  device: Device,
  path: string,
  optimiser: Optimiser,
  { keep = () => true, base = null }: SavedWeights = {},
): Promise<void> {
  const trained = optimiser.parameters.specs.filter(({ name }) => keep(name));
  const names = new Set(trained.map(({ name }) => name));
  const replaced = new Set([...names].flatMap((name) => [name, scalesOf(name)]));
  const copied = [...base?.tensors.values() ?? []].filter(({ name }) => !replaced.has(name));
  const entries: TensorEntry[] = [
    ...trained.map(({ name, shape }) => ({ name, dtype: "F32" as const, shape })),
    // wide types first, so that every tensor is aligned
    ...copied.toSorted((a, b) => b.byteLength / b.elements - a.byteLength / a.elements),
  ];
  // trained weights are in blocks no longer
  const { [QUANTISATION]: blocks, ...others } = base?.metadata ?? {};
  const isLeft = copied.some(({ name }) => storedBlocks(base!.tensors, name));
  const metadata = {
    ...others,
    ...blocks !== undefined && isLeft && { [QUANTISATION]: blocks },
    format: "pt",
  };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield safetensorsHeader(entries, metadata);
    for (const { name } of entries) {
      if (names.has(name)) {
        yield new Uint8Array((await device.read(valueOf(optimiser, name))).buffer);
      } else {
        for await (const { bytes } of base!.chunks(name)) yield bytes;
      }
    }
  }
  await writeFileAtomic(path, pieces());
}

/** What a file of adapters says besides their values. */
export interface SavedLora {
  /** Width of the adapters. */
  readonly rank: number;
  /** Their strength: what they add is multiplied by `alpha` / `rank`. */
  readonly alpha: number;
  /** The fingerprint of the model, see `baseFingerprint()`. */
  readonly base: string;
  /** Name of the model. */
  readonly baseName: string;
}

/**
 * Writes trained adapters: parameters `MODULE.lora_A` [rank, K] and `MODULE.lora_B` [N, rank].
 *
 * @throws {FileError} It cannot be written; the previous one stays.
 */
export async function saveLora(
  device: Device,
  path: string,
  optimiser: Optimiser,
  about: SavedLora,
): Promise<void> {
  const adapters = new Map<string, LoraPair>();
  for (const { name, shape: [, K] } of optimiser.parameters.specs) {
    if (!name.endsWith(".lora_A")) continue;
    const module = name.slice(0, -".lora_A".length);
    const read = async (side: "A" | "B") =>
      await device.read(valueOf(optimiser, `${module}.lora_${side}`)) as Float32Array<ArrayBuffer>;
    const [A, B] = [await read("A"), await read("B")];
    adapters.set(`${module}.weight`, { A, B, shape: [B.length / about.rank, K!] });
  }
  await writeFileAtomic(path, encodeLora({ ...about, adapters }));
}
