import { openFolder } from "../../checkpoint/folder.ts";
import type { Folder } from "../../checkpoint/place.ts";
import type { TrainConfig } from "../config/types.ts";
import type { TrainingOptions } from "../report/types.ts";
import { openWords, type Words } from "./words.ts";

/** What a stage begins with. */
export interface Beginning {
  /** The model folder with what earlier stages made; for adapters, that of the model that they adapt. */
  readonly folder: Folder;
  /** That of `init`, if there is one. */
  readonly init: Folder | null;
  /** What makes token ids of captions. */
  readonly words: Words;
}

/** How preparing a stage is watched, and ended. */
export type Watch = Pick<TrainingOptions, "signal" | "onPrepare">;

/**
 * Opens what a stage begins with.
 *
 * @param folder The model folder with what earlier stages made.
 * @throws As {@link openWords}.
 */
export async function openBeginning(config: TrainConfig, folder: string): Promise<Beginning> {
  const { init } = config;
  return {
    folder: openFolder(folder),
    init: init === null ? null : openFolder(init),
    words: await openWords(config),
  };
}
