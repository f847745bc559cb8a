import { UsageError } from "../flags/flags.ts";
import { type Io, outJson } from "../io/io.ts";
import type { ModelChoice } from "../io/model.ts";
import { formatBytes } from "../../engine/mod.ts";
import type { StepSize } from "../../model/training/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";

/** The flags of `plan` that finetuning is planned by. */
export interface FinetuningGiven {
  readonly lora?: number;
  readonly type?: WeightType;
  readonly "batch-count"?: number;
  readonly recompute?: boolean;
  readonly scales?: number;
  readonly dtype?: "f32" | "f16";
  readonly "max-vram"?: number;
  readonly json?: boolean;
}

/** Prints what a pass of finetuning a model with adapters holds. @throws {OutOfMemoryError} It exceeds --max-vram. */
export async function planFinetuning(
  { config, storedType }: ModelChoice,
  given: FinetuningGiven,
  io: Io,
): Promise<number> {
  const { lora: rank = 1, scales, dtype, "max-vram": budget = Infinity } = given;
  const { type = storedType ?? "f16", recompute = false, "batch-count": batch = 1 } = given;
  if (!config.text_encoder) {
    throw new UsageError(`Cannot plan finetuning of ${config.name}: it has no text encoder`);
  }
  const { fitStep, planAdapters } = await import("../../model/training/mod.ts");
  const plan = (size: StepSize) => planAdapters(config, { rank, type, dtype, scales, ...size });
  const peak = await fitStep(plan, { batch, recompute }, budget, "transformer");
  if (given.json) {
    outJson(io, { model: config.name, type, lora: rank, batch, recompute, peak });
    return 0;
  }
  const images = batch === 1 ? "1 image" : `${batch} images`;
  io.out(`${config.name} as ${type}, finetuned with adapters of rank ${rank}, ${images} a pass`);
  io.out(`Peak ${formatBytes(peak)}`);
  if (!recompute) {
    io.out(`With --recompute ${formatBytes(await plan({ batch, recompute: true }))}`);
  }
  return 0;
}
