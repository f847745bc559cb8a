import { GPU_FLAG } from "./gpu.ts";
import { IMAGE_FLAG } from "./limits.ts";
import { LORA_FLAG } from "./lora_flag.ts";
import { MODEL_HELP } from "./output_flags.ts";
import { bytes, integerFrom, oneOf, path } from "./types.ts";
import type { Values } from "./flags.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";

/** The flags of commands that keep a model loaded and make images with it. */
export const MAKER_FLAGS = {
  "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
  ...LORA_FLAG,
  "type": {
    type: oneOf(...WEIGHT_TYPES),
    help: "Storage of weights and cache (f32, or as stored)",
  },
  ...GPU_FLAG,
  "max-vram": { type: bytes, help: "Stay within SIZE by smaller batches" },
  "batch": { type: integerFrom(1, 1024), help: "The most images of a batch (what suits the GPU)" },
  ...IMAGE_FLAG,
} as const;

/** The values that were given for {@link MAKER_FLAGS}. */
export type MakerGiven = Values<typeof MAKER_FLAGS>;
