import { type Device, InputError } from "../../../engine/mod.ts";
import { imageSizes } from "../../config/schedule.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { DataSource } from "../data/base/source.ts";
import { openData } from "../data/open_data.ts";
import type { Beginning, Watch } from "./beginning.ts";
import { TokenizerTask } from "./tokenizer_task.ts";
import { TransformerTask } from "./transformer_task.ts";

/**
 * Refuses a transformer that has nothing to read prompts with.
 *
 * @throws {InputError} `no-text-encoder`.
 */
export function checkText({ model }: TrainConfig, stage: Stage): void {
  if (stage !== "transformer" || model.text_encoder) return;
  throw new InputError("no-text-encoder", "Cannot train a transformer without a text encoder");
}

/** Opens a stage on a device: that of the training, or one that computes nothing. */
export type OpenTask = (
  device: Device,
  config: TrainConfig,
  data: DataSource,
) => Promise<TokenizerTask | TransformerTask>;

/**
 * Returns what opens a stage, which begins with something.
 *
 * @param watch How preparing it is watched.
 */
export function openTask(
  stage: Stage,
  begun: Beginning,
  watch?: Watch,
): OpenTask {
  return stage === "transformer"
    ? (device, config, data) => TransformerTask.open(device, config, begun, data, watch)
    : (device, config, data) => TokenizerTask.open(device, config, stage, begun, data);
}

/**
 * Opens the images and captions that a stage learns from.
 *
 * @param onWarning Called with what is left out.
 * @throws As {@link openData}.
 */
export async function openStageData(
  device: Device,
  { model, data: { kind, path, broken, mirror, held_out }, seed }: TrainConfig,
  stage: Stage,
  onWarning?: (text: string) => void,
): Promise<DataSource> {
  return await openData(device, {
    kind,
    path,
    sizes: imageSizes(model),
    seed: BigInt(seed),
    which: stage === "transformer" ? "training" : "all",
    heldOut: held_out,
    uncaptioned: stage !== "transformer",
    broken,
    mirror,
    ...onWarning && { onWarning },
  });
}
