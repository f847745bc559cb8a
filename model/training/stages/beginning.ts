import type { Folder } from "../../checkpoint/place.ts";
import type { Words } from "./words.ts";

/** What a stage begins with. */
export interface Beginning {
  /** The model folder with what earlier stages made; for adapters, that of the model that they adapt. */
  readonly folder: Folder;
  /** That of `init`, if there is one. */
  readonly init: Folder | null;
  /** What makes token ids of captions. */
  readonly words: Words;
}
