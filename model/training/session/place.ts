import { join } from "../../../deps/@std/path.ts";
import { CheckpointError, InputError, quote } from "../../../engine/mod.ts";
import { isUrl } from "../../checkpoint/folder.ts";
import { type Stage, STAGES } from "../config/types.ts";
import type { TrainingOptions } from "../report/types.ts";

/** The file by which the folder of a training is known. */
export const LOG = "log.jsonl";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Whether a folder is that of a training. */
export async function isMarked(output: string): Promise<boolean> {
  return await exists(join(output, LOG));
}

/** Whether a folder is that of a training which ended before it reported anything. */
export async function isUnused(output: string): Promise<boolean> {
  return await Deno.stat(join(output, LOG)).then(({ size }) => size === 0, () => false);
}

/** Path of a stage's checkpoint in the folder of a training. */
export function checkpointPath(output: string, stage: Stage): string {
  return join(output, "checkpoints", `${stage}.safetensors`);
}

/** Whether a stage has a checkpoint in a folder. */
export async function hasCheckpoint(output: string, stage: Stage): Promise<boolean> {
  return await exists(checkpointPath(output, stage));
}

/** Whether any stage has a checkpoint in a folder. */
export async function hasBegun(output: string): Promise<boolean> {
  return (await Promise.all(STAGES.map((stage) => hasCheckpoint(output, stage)))).includes(true);
}

/**
 * Refuses a folder in which a training would overwrite something else.
 *
 * @throws {CheckpointError} `exists`: the folder is that of a model which no training made.
 * @throws {InputError} `bad-url`: it is a URL.
 */
export async function checkFolder(output: string): Promise<void> {
  if (isUrl(output)) {
    const message = `Cannot train in ${quote(output)}: it is a URL; name a folder on this machine`;
    throw new InputError("bad-url", message);
  }
  const ours = await isMarked(output) || await hasBegun(output);
  if (!ours && await exists(join(output, "config.json"))) {
    throw new CheckpointError(
      "exists",
      `Cannot train in ${quote(output)}: it is a model folder already; name another folder`,
    );
  }
}

/**
 * Refuses to begin where a training has begun, or to go on where none has.
 *
 * @throws {CheckpointError} `exists`: it is not to go on, but has a checkpoint; `no-checkpoint`: it is, but has none.
 */
export async function checkPlace(
  { output, resume = false }: TrainingOptions,
  stage: Stage,
): Promise<void> {
  if (await hasCheckpoint(output, stage) === resume) return;
  throw resume
    ? new CheckpointError(
      "no-checkpoint",
      `Cannot go on in ${quote(output)}: it has no checkpoint of the ${stage}`,
    )
    : new CheckpointError(
      "exists",
      `Cannot begin in ${quote(output)}: it has a checkpoint of the ${stage}; name another ` +
        "folder, or go on from it",
      { hint: "resume" },
    );
}
