import { type Device, InputError } from "../../../engine/mod.ts";
import type { Folder } from "../../checkpoint/place.ts";
import type { ModelConfig } from "../../config/types.ts";
import { compactType } from "../../parts/compact_type.ts";
import { FolderSource } from "../../parts/parts.ts";
import { T5Encoder } from "../../text/t5.ts";
import type { TextFeatures } from "../networks/t5.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import type { Watch } from "./beginning.ts";

/** Token ids of a prompt. */
export type Ids = readonly number[];

/** All prompts that there are, and how encoding them is watched. */
export interface KnownPrompts extends Watch {
  readonly prompts: readonly Ids[];
}

/** Prompts that are encoded at a time. */
const AT_A_TIME = 32;

/**
 * Opens a text encoder that does not learn: the one that generates. Where all prompts are known, they are encoded at
 * once, and the encoder does not stay in memory.
 *
 * @param known All prompts; null if they are not known.
 * @throws {FileError | CheckpointError} A file is missing or wrong.
 * @throws The reason of the signal.
 */
export async function openFrozenText(
  device: Device,
  model: ModelConfig,
  folder: Folder,
  known: KnownPrompts | null,
): Promise<TextFeatures> {
  const type = await compactType(device, folder, model.files.text_encoder);
  const source = new FolderSource(folder, model, device, type);
  const encoder = await source.open(
    "text_encoder",
    (weights) => T5Encoder.load(weights, model.text_encoder!),
  );
  if (!known) return new FrozenText(encoder);
  try {
    return new KnownText(device, await encodeAll(device, encoder, known));
  } finally {
    encoder.dispose();
    device.trim();
  }
}

/** Features of prompts by {@link keyOf}, on the host. */
async function encodeAll(
  device: Device,
  encoder: T5Encoder,
  { prompts: known, signal, onPrepare }: KnownPrompts,
) {
  const { d_model: width } = encoder.config;
  const all = new Map<string, Float32Array<ArrayBuffer>>();
  for (let first = 0; first < known.length; first += AT_A_TIME) {
    signal?.throwIfAborted();
    onPrepare?.(first / known.length);
    const prompts = known.slice(first, first + AT_A_TIME);
    const { features, lens } = encoder.encode(prompts);
    const values = await device.read(features) as Float32Array<ArrayBuffer>;
    features.dispose();
    let from = 0;
    prompts.forEach((ids, i) => all.set(keyOf(ids), values.slice(from, from += lens[i]! * width)));
  }
  return { all, width };
}

function keyOf(ids: Ids): string {
  return ids.join();
}

/** An encoder that stays. */
class FrozenText implements TextFeatures {
  constructor(private readonly encoder: T5Encoder) {}

  features(tape: Tape, ids: readonly Ids[]): Variable {
    return tape.constant(tape.keep(this.encoder.encode(ids).features));
  }

  dispose(): void {
    this.encoder.dispose();
  }
}

/** What an encoder made of all prompts. */
class KnownText implements TextFeatures {
  constructor(
    private readonly device: Device,
    private readonly known: {
      readonly all: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
      readonly width: number;
    },
  ) {}

  features(tape: Tape, ids: readonly Ids[]): Variable {
    const { all, width } = this.known;
    const rows = ids.map((prompt) => {
      const found = all.get(keyOf(prompt));
      if (found) return found;
      throw new InputError(
        "unknown-caption",
        "Cannot train on a caption that its data do not list",
      );
    });
    const values = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const row of rows) values.set(row, at), at += row.length;
    const shape = [values.length / width, width];
    return tape.constant(tape.keep(this.device.from("f32", shape, values, "text features")));
  }

  dispose(): void {}
}
