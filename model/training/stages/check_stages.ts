import { Device } from "../../../engine/mod.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { TrainingOptions } from "../report/types.ts";
import { checkFolder, checkPlace, hasCheckpoint } from "../session/place.ts";
import { checkText, openStageData } from "./open_task.ts";

/**
 * Refuses what can be refused before the first of several stages takes its hours. A stage that has no checkpoint yet
 * begins, if others go on.
 *
 * @returns Which stages go on from a checkpoint.
 * @throws {CheckpointError} `exists` or `no-checkpoint`: see {@link checkPlace}.
 * @throws {InputError | FileError} A stage cannot learn from the model or the data; the message says why.
 */
export async function checkStages(
  config: TrainConfig,
  stages: readonly Stage[],
  { output, resume = false, gpu }: Pick<TrainingOptions, "output" | "resume" | "gpu">,
): Promise<boolean[]> {
  await checkFolder(output);
  const begun = await Promise.all(stages.map((stage) => hasCheckpoint(output, stage)));
  const goesOn = resume && begun.includes(true);
  for (const [i, stage] of stages.entries()) {
    checkText(config, stage);
    await checkPlace({ output, resume: goesOn ? begun[i]! : resume }, stage);
  }
  // the first stage opens its data at once; scenes have captions
  const later = stages.slice(1).find((stage) => stage === "transformer");
  if (later && config.data.kind !== "scenes") {
    using device = await Device.open(gpu ? { gpu } : {});
    (await openStageData(device, config, later)).dispose();
  }
  return begun.map((has) => resume && has);
}
