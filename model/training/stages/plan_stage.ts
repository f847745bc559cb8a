import type { Device } from "../../../engine/mod.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { DataSource } from "../data/base/source.ts";
import { type PlanSize, planStep } from "../run/plan.ts";
import { trainerOptions } from "../session/run_stage.ts";
import type { OpenTask } from "./open_task.ts";
import { MOST_CAPTIONS } from "./transformer_task.ts";

/** What a prompt is planned as, where the config has none. */
const PROMPT = "three small red birds above a large house on a green hill";

/** What a plan must know of the images and captions that a stage learns from. */
export interface DataPlan extends Pick<DataSource, "sizes" | "pictures"> {
  /** Whether all captions are known, and few. */
  readonly known: boolean;
  /** Bytes that they hold on the device, besides batches. */
  readonly held: number;
}

/**
 * What a plan must know of a source.
 *
 * @param device Where it was opened, and nothing else yet.
 */
export function dataPlan(device: Device, data: DataSource): DataPlan {
  const { sizes, pictures } = data;
  const known = data.captions?.(MOST_CAPTIONS) != null;
  return { known, held: device.memory.liveBytes, sizes, pictures };
}

/** Images without contents, for a device that computes nothing. */
function emptyData(
  device: Device,
  { model, sample_prompts }: TrainConfig,
  { known, held, sizes, pictures }: DataPlan,
): DataSource {
  const { width, height } = model.image;
  const prompts = sample_prompts.length > 0 ? sample_prompts : [PROMPT];
  const own = device.tensor("u32", [Math.ceil(held / 4)], "data");
  return {
    sizes,
    count: null,
    pictures,
    captions: () => known ? new Set(prompts) : null,
    batch: (_, size) =>
      Promise.resolve({
        images: device.tensor("f32", [size, height, width, 3], "images"),
        captions: Array.from({ length: size }, (_, i) => prompts[i % prompts.length]!),
      }),
    dispose: () => own.dispose(),
  };
}

/**
 * How many bytes a step of a stage needs, with whatever batch, and with or without computing blocks again.
 *
 * @param device Where it runs.
 */
export function planStage(
  device: Device,
  config: TrainConfig,
  stage: Stage,
  open: OpenTask,
  data: DataPlan,
): PlanSize {
  return (size) => {
    const planned = { ...config, [stage]: { ...config[stage], ...size } };
    const make = (dry: Device) => open(dry, planned, emptyData(dry, config, data));
    return planStep(device, make, trainerOptions(planned[stage]));
  };
}
