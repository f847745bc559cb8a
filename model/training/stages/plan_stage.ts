import type { Device } from "../../../engine/mod.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { DataSource } from "../data/base/source.ts";
import { type PlanSize, planStep } from "../run/plan.ts";
import type { Task } from "../run/task.ts";
import { trainerOptions } from "../session/run_stage.ts";

/** What a prompt is planned as, where the config has none. */
const PROMPT = "three small red birds above a large house on a green hill";

/** Images without contents, for a device that computes nothing. */
function emptyData(
  device: Device,
  { model, sample_prompts }: TrainConfig,
  known: boolean,
): DataSource {
  const { width, height } = model.image;
  const prompts = sample_prompts.length > 0 ? sample_prompts : [PROMPT];
  return {
    sizes: [{ width, height }],
    count: null,
    captions: () => known ? new Set(prompts) : null,
    batch: (_, size) =>
      Promise.resolve({
        images: device.tensor("f32", [size, height, width, 3], "images"),
        captions: Array.from({ length: size }, (_, i) => prompts[i % prompts.length]!),
      }),
    dispose() {},
  };
}

/** Opens a stage on a device: that of the training, or one that computes nothing. */
export type OpenTask<T extends Task> = (
  device: Device,
  config: TrainConfig,
  data: DataSource,
) => Promise<T>;

/**
 * How many bytes a step of a stage needs, with whatever batch, and with or without computing blocks again.
 *
 * @param device Where it runs.
 * @param known Whether all captions are known, and few.
 */
export function planStage(
  device: Device,
  config: TrainConfig,
  stage: Stage,
  open: OpenTask<Task>,
  known: boolean,
): PlanSize {
  return (size) => {
    const planned = { ...config, [stage]: { ...config[stage], ...size } };
    const make = (dry: Device) => open(dry, planned, emptyData(dry, config, known));
    return planStep(device, make, trainerOptions(planned[stage]));
  };
}
