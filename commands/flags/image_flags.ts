import { UsageError } from "./flags.ts";
import { schedule } from "./generate_flags.ts";
import { GPU_FLAG } from "./gpu.ts";
import { MODEL_HELP } from "./output_flags.ts";
import { IMAGE_FLAG } from "./limits.ts";
import { integer, on, oneOf, path } from "./types.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";

/** The flags of commands that use a model. */
export const MODEL_FLAGS = {
  "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
  "type": { type: oneOf(...WEIGHT_TYPES), help: "Storage of weights (f32, or as stored)" },
  ...GPU_FLAG,
  "json": { type: on, help: "Print one JSON object" },
} as const;

/** The flags of commands that encode images. */
export const ENCODE_FLAGS = {
  "width": {
    alias: "W",
    type: integer,
    help: "Width in pixels, with --height (nearest shape of the model)",
  },
  "height": { alias: "H", type: integer, help: "Height in pixels, with --width" },
  "vae-schedule": {
    type: { ...schedule, need: "grids of the VAE's positions, such as 1x1,2x2,4x4" },
    help: "Grids of the scales in positions of the VAE, instead of a size",
  },
  "scales": { type: integer, help: "Use the first N scales only" },
  ...IMAGE_FLAG,
} as const;

/** The values that were given for {@link ENCODE_FLAGS}. */
interface EncodeGiven {
  readonly width?: number;
  readonly height?: number;
  readonly "vae-schedule"?: ReturnType<typeof schedule.read>;
  readonly scales?: number;
}

/** Returns {@link ENCODE_FLAGS} as options. */
export function encodeOptions({ width, height, "vae-schedule": schedule, scales }: EncodeGiven) {
  return { width, height, schedule, scales };
}

/** Returns the one file that a command takes. @throws {UsageError} There is none, or several. */
export function onlyFile(words: readonly string[], command: string, what: string): string {
  if (words.length === 1 && words[0]) return words[0];
  const found = words.length > 1 ? `${words.length} files` : "without a file";
  throw new UsageError(`Cannot ${command} ${found}: give one ${what}`);
}
