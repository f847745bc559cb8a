import { on, oneOf, path, UsageError, whole } from "./flags.ts";
import { schedule } from "./generate_flags.ts";
import { GPU_FLAG } from "./gpu.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";

/** Flags of commands that use a model. */
export const MODEL_FLAGS = {
  "model": { alias: "m", type: { ...path, value: "DIR" }, help: "Model folder (emoji-nano)" },
  "type": { type: oneOf(...WEIGHT_TYPES), help: "Storage of weights (f32, or as quantised)" },
  ...GPU_FLAG,
  "json": { type: on, help: "Print one JSON object" },
} as const;

/** Flags of commands that encode images. */
export const ENCODE_FLAGS = {
  "width": { alias: "W", type: whole, help: "Pixels across, with --height (as the model's shape)" },
  "height": { alias: "H", type: whole, help: "Pixels down, with --width" },
  "vae-schedule": {
    type: { ...schedule, need: "grids of the VAE's positions, such as 1x1,2x2,4x4" },
    help: "Grids of the scales in positions of the VAE, in place of a size",
  },
  "scales": { type: whole, help: "Take the first N scales alone" },
} as const;

/** What {@link ENCODE_FLAGS} were given. */
interface EncodeGiven {
  readonly width?: number;
  readonly height?: number;
  readonly "vae-schedule"?: ReturnType<typeof schedule.read>;
  readonly scales?: number;
}

/** {@link ENCODE_FLAGS} as options. @throws {UsageError} two that say the same. */
export function encodeOptions({ width, height, "vae-schedule": grids, scales }: EncodeGiven) {
  if (grids && (width !== undefined || height !== undefined)) {
    throw new UsageError("Cannot use --vae-schedule and a size together: give one of them");
  }
  return { width, height, schedule: grids, scales };
}

/** The one file that a command takes. @throws {UsageError} for none or several. */
export function onlyFile(words: readonly string[], command: string, what: string): string {
  if (words.length === 1 && words[0]) return words[0];
  const found = words.length > 1 ? `${words.length} files` : "nothing";
  throw new UsageError(`Cannot ${command} ${found}: give one ${what}`);
}
