import { type Io, outJson } from "../io/io.ts";
import { ProgressLine } from "../io/progress.ts";
import { table } from "../io/table.ts";
import { formatBytes } from "../../engine/mod.ts";
import type { Stage, StepSize, TrainConfig } from "../../model/training/mod.ts";
import { STAGES } from "./stages.ts";

/** The flags of `plan` that a training is planned by. */
export interface TrainingGiven {
  readonly "max-vram"?: number;
  readonly json?: boolean;
}

/** What a step of a stage holds. */
interface Planned extends StepSize {
  readonly stage: Stage;
  readonly peak: number;
}

/**
 * Prints what a step of each stage of a CONFIG.json holds.
 *
 * @throws {OutOfMemoryError} One exceeds --max-vram; the message says which batch would fit.
 */
export async function planTrainingOf(
  path: string,
  { "max-vram": budget = Infinity, json }: TrainingGiven,
  io: Io,
): Promise<number> {
  const { fitStep, planTraining, readTrainConfig } = await import("../../model/training/mod.ts");
  const config = await readTrainConfig(path);
  const planned: Planned[] = [];
  using line = new ProgressLine(io);
  for (const stage of stagesToPlan(config)) {
    const { batch, recompute } = config[stage];
    line.show(`Planning the ${stage}`);
    const plan = await planTraining(config, stage);
    const peak = await fitStep(plan, { batch, recompute }, budget, stage);
    planned.push({ stage, batch, recompute, peak });
  }
  line[Symbol.dispose]();
  if (json) return outJson(io, { model: config.name, stages: planned }), 0;
  io.out(`${config.name}, trained by ${path}`);
  const rows = planned.map(({ stage, batch, recompute, peak }) => [
    stage,
    `${batch}`,
    recompute ? "yes" : "no",
    formatBytes(peak),
  ]);
  for (const line of table(["stage", "batch", "recompute", "peak"], rows)) io.out(line);
  return 0;
}

/** Adapters are of the transformer alone. */
function stagesToPlan({ transformer: { lora } }: TrainConfig): readonly Stage[] {
  return lora.rank > 0 ? ["transformer"] : STAGES;
}
