import {
  CheckpointError,
  type Device,
  quote,
  SafetensorsError,
  safetensorsHeader,
  type Tensor,
  type TensorEntry,
  type TensorFile,
} from "../../../engine/mod.ts";
import { STATUS_WORDS } from "../../../kernels/optimiser/status.ts";
import { openTensorFile, writeFileAtomic } from "../../checkpoint/files.ts";
import type { Optimiser } from "../optimiser/optimiser.ts";
import { differences, differencesAt, listed } from "./differences.ts";

/** What a training has done, besides its parameters and moments. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Seconds of training, over all runs. */
  readonly seconds: number;
  /** Seconds of it that the warm-up of the learning rate took. */
  readonly warm: number;
  /** What the loss is multiplied by. */
  readonly lossScale: number;
  /** Steps in a row that did not overflow with it. */
  readonly sound: number;
}

/** What a checkpoint is made of. */
export interface CheckpointArgs {
  /** The parameters, and what is kept of them. */
  readonly optimiser: Optimiser;
  readonly progress: Progress;
  /** JSON: what the training was asked to do, with its seed; see {@link loadCheckpoint}. */
  readonly config: unknown;
  /** Numbers that are read back at a time; 2²⁴ if absent. */
  readonly chunk?: number;
}

/** What the metadata of a checkpoint says it is. */
const FORMAT = "bitwise training 1";

/** A part of all memory that a checkpoint holds: one kind of numbers of one parameter. */
interface Part {
  readonly entry: TensorEntry;
  /** The page that holds it, and where. */
  readonly page: Tensor;
  readonly start: number;
  readonly count: number;
}

/** Everything that a checkpoint holds, page by page. */
function* partsOf(optimiser: Optimiser): Generator<Part> {
  for (const { kind, page, places } of optimiser.pages()) {
    for (const { spec: { name, shape }, start } of places) {
      const count = shape.reduce((product, n) => product * n, 1);
      yield { entry: { name: `${kind}/${name}`, dtype: "F32", shape }, page, start, count };
    }
  }
}

/**
 * Writes a checkpoint: `value/NAME`, `m/NAME`, `v/NAME` and perhaps `ema/NAME` of each parameter in f32, and the rest
 * as metadata. The file has its name only when it is complete; a previous one stays until then. A process that is killed
 * leaves PATH.part, which the next checkpoint replaces.
 *
 * @throws {FileError} `disk-full` and others of `writeFileAtomic()`.
 */
export async function saveCheckpoint(
  device: Device,
  path: string,
  { optimiser, progress, config, chunk = 2 ** 24 }: CheckpointArgs,
): Promise<void> {
  const status = await device.read(optimiser.status);
  const state = { ...progress, status: [...status] };
  const metadata = {
    format: FORMAT,
    state: JSON.stringify(state),
    config: JSON.stringify(config),
  };
  const parts = [...partsOf(optimiser)];
  await writeFileAtomic(path, bytesOf(device, parts, metadata, chunk), { part: true });
}

async function* bytesOf(
  device: Device,
  parts: readonly Part[],
  metadata: Readonly<Record<string, string>>,
  chunk: number,
): AsyncGenerator<Uint8Array> {
  yield safetensorsHeader(parts.map(({ entry }) => entry), metadata);
  for (let next = 0; next < parts.length;) {
    const { page, start } = parts[next]!;
    const end = Math.min(page.elements, start + chunk);
    // whole parts as long as they fit, or a piece of one that does not
    const first = next;
    while (
      next < parts.length && parts[next]!.page === page &&
      parts[next]!.start + parts[next]!.count <= end
    ) next++;
    if (next === first) {
      const { count } = parts[next++]!;
      for (let at = 0; at < count; at += chunk) {
        const piece = await device.read(page.rows(start + at, Math.min(chunk, count - at)));
        yield new Uint8Array(piece.buffer);
      }
      continue;
    }
    const last = parts[next - 1]!;
    const read = await device.read(page.rows(start, last.start + last.count - start));
    for (const part of parts.slice(first, next)) {
      yield new Uint8Array(read.buffer, 4 * (part.start - start), 4 * part.count);
    }
  }
}

/** Options of {@link loadCheckpoint}. */
export interface LoadOptions {
  /** JSON that the checkpoint's must be equal to. */
  readonly config: unknown;
  /** Keys of the config, with dots, that may differ. None if absent. */
  readonly free?: readonly string[];
  /** Keys that may differ, but of which `onWarning` hears. None if absent. */
  readonly told?: readonly string[];
  /** Whether all keys may differ; false if absent. */
  readonly anyConfig?: boolean;
  /** Called with a line if keys of `told` differ. */
  readonly onWarning?: (line: string) => void;
}

/**
 * Reads a checkpoint into parameters and moments, and returns how far it was.
 *
 * @throws {CheckpointError} `not-a-checkpoint`; `damaged-checkpoint`; `other-config`: the message says which keys differ, and how;
 *   `other-parameters`: it has others, or of other shapes. Then nothing was changed.
 * @throws {FileError | SafetensorsError} It cannot be read.
 */
export async function loadCheckpoint(
  device: Device,
  path: string,
  optimiser: Optimiser,
  options: LoadOptions,
): Promise<Progress> {
  const file = await openTensorFile(path).catch((cause) => {
    throw cause instanceof SafetensorsError ? damaged(path, { cause }) : cause;
  });
  try {
    const { progress, status } = stateOf(file, path, options);
    const parts = [...partsOf(optimiser)];
    checkParts(file, path, parts);
    for (const { entry: { name }, page, start, count } of parts) {
      const target = page.rows(start, count);
      for await (const { offset, bytes } of file.chunks(name)) {
        device.upload(target, bytes, offset);
      }
    }
    optimiser.restore(Uint32Array.from(status));
    return progress;
  } finally {
    file.close();
  }
}

/** What the metadata of a checkpoint say. */
interface State {
  readonly progress: Progress;
  /** Words of the optimiser's status. */
  readonly status: readonly number[];
}

/** Reads the metadata of a checkpoint. */
function stateOf(
  { metadata }: TensorFile,
  path: string,
  { config, free = [], told = [], anyConfig = false, onWarning }: LoadOptions,
): State {
  const start = `Cannot go on from ${quote(path)}: `;
  if (metadata.format !== FORMAT) {
    throw new CheckpointError("not-a-checkpoint", `${start}it is not a checkpoint of a training`);
  }
  const state = parseState(metadata);
  if (!state) throw damaged(path);
  if (!anyConfig) {
    const found = differences(state.config, config, [...free, ...told]);
    if (found.length > 0) {
      throw new CheckpointError(
        "other-config",
        `${start}${listed(found)}; use the settings it began with, or allow others`,
        { hint: "any-config" },
      );
    }
  }
  const others = told.flatMap((key) => differencesAt(key, state.config, config));
  if (others.length > 0) onWarning?.(`Going on with other settings: ${listed(others)}`);
  return state;
}

function damaged(path: string, options?: ErrorOptions): CheckpointError {
  const message = `Cannot go on from ${quote(path)}: it is damaged; begin anew, or from another ` +
    "checkpoint";
  return new CheckpointError("damaged-checkpoint", message, options);
}

/** Parses metadata, and checks them. */
function parseState(
  metadata: Readonly<Record<string, string>>,
): State & { readonly config: unknown } | null {
  try {
    const config: unknown = JSON.parse(metadata.config!);
    const { status, step, seconds, lossScale, warm = 0, sound = 0 } = JSON.parse(metadata.state!);
    const counts = [step, sound].every((n) => Number.isSafeInteger(n) && n >= 0);
    const times = [seconds, warm].every((t) => Number.isFinite(t) && t >= 0);
    const valid = counts && times && Number.isFinite(lossScale) && lossScale > 0 &&
      Array.isArray(status) && status.length === STATUS_WORDS &&
      status.every((word) => Number.isSafeInteger(word) && word >= 0 && word < 2 ** 32);
    return valid ? { progress: { step, seconds, warm, lossScale, sound }, status, config } : null;
  } catch {
    return null;
  }
}

/** Checks that a file has exactly the tensors that are wanted. */
function checkParts(file: TensorFile, path: string, parts: readonly Part[]): void {
  const refuse = (detail: string): never => {
    const message = `Cannot go on from ${quote(path)}: ${detail}; use the model it began with`;
    throw new CheckpointError("other-parameters", message);
  };
  for (const { entry: { name, shape } } of parts) {
    const info = file.tensors.get(name);
    if (!info) return refuse(`it has no ${name}`);
    if (info.dtype !== "F32" || info.shape.join() !== shape.join()) {
      return refuse(`${name} is ${info.dtype} [${info.shape}], not F32 [${shape}]`);
    }
  }
  const wanted = new Set(parts.map(({ entry: { name } }) => name));
  const more = [...file.tensors.keys()].find((name) => !wanted.has(name));
  if (more !== undefined) refuse(`it has ${more} besides`);
}
