import type { Values } from "./flags.ts";
import { GPU_FLAG } from "./gpu.ts";
import { IMAGE_FLAG } from "./limits.ts";
import { LORA_FLAG } from "./lora_flag.ts";
import { MODEL_HELP, NUMBER_FLAGS, UPSCALE_FLAG } from "./output_flags.ts";
import {
  bytes,
  type FlagType,
  integer,
  integers,
  number,
  numbers,
  on,
  oneOf,
  path,
  seed,
  text,
} from "./types.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";
import { parseSchedule } from "../../model/config/schedule.ts";
import { FAST_MODES, type FastMode } from "../../model/generate/plan/fast.ts";

/** Token grids, coarse to fine. */
export const schedule: FlagType<ReturnType<typeof parseSchedule>> = {
  value: "HxW,…",
  need: "token grids, such as 1x1,2x2,4x4",
  read: parseSchedule,
};

/** Approximations. */
const fast: FlagType<FastMode[]> = {
  value: "MODE[,MODE]",
  need: `${FAST_MODES.join(" or ")}, or both with a comma`,
  read(given) {
    const modes = given.split(",") as FastMode[];
    return modes.every((mode) => FAST_MODES.includes(mode)) ? modes : undefined;
  },
};

/** Flags of `generate`, in the words of stable-diffusion.cpp where it has them. */
export const FLAGS = {
  "prompt": { alias: "p", type: text, many: true, help: "What the image shows; repeat for more" },
  "prompt-file": { type: path, help: "Read prompts from a file, one per line" },
  "negative-prompt": { alias: "n", type: text, help: "What to avoid" },
  "negative-prompt-file": { type: path, help: "Read the negative prompt from a file" },
  ...NUMBER_FLAGS,
  "seed": { alias: "s", type: seed, help: "Seed of the first image, -1 for a random one" },
  "batch-count": {
    alias: "b",
    type: integer,
    help: "Images per prompt, with consecutive seeds (1)",
  },
  "width": { alias: "W", type: integer, help: "Width in pixels, with --height" },
  "height": { alias: "H", type: integer, help: "Height in pixels, with --width" },
  "schedule": { type: schedule, help: "Token grids of the scales, instead of a size" },
  ...UPSCALE_FLAG,
  "cfg-scale": { type: numbers, help: "Guidance; 1 is none" },
  "cfg-until": {
    type: integer,
    help: "Guide the first N scales only; the others take half the work",
  },
  "fast": { type: fast, help: "Approximate: kv attends to fewer scales, prune skips some work" },
  "tau": { type: numbers, help: "Temperature" },
  "top-k": { type: integer, help: "1 takes the likelier value of each bit; 0 is off" },
  "top-p": {
    type: number,
    help: "Never take a bit's value of probability 1 - N or less; 0 is off",
  },
  "cfg-insertion-layer": {
    type: integers,
    help: "Where guidance acts: 0 on the logits, -K after the K-th last block, or a list",
  },
  "greedy": { type: on, help: "Take the likelier value of each bit" },
  "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
  ...LORA_FLAG,
  "synthetic": { type: { ...text, value: "PRESET" }, help: "Use random weights of that preset" },
  "type": {
    type: oneOf(...WEIGHT_TYPES),
    help: "Storage of weights and cache (f32, or as stored)",
  },
  ...GPU_FLAG,
  "max-vram": { type: bytes, help: "Stay within SIZE: smaller batches, or one part at a time" },
  "text-features": { type: path, help: "Use features [rows, C] and lens [B] instead of prompts" },
  "negative-features": { type: path, help: "Use the same instead of a negative prompt" },
  "sampler-uniforms": { type: path, help: "Sample bits with scale{i}.uniforms [B, h, w, d]" },
  "force-bits": { type: path, help: "Use scale{i}.bits [B, h, w, d] instead of sampled bits" },
  "init-img": { alias: "i", type: path, help: "Image or bits to start from; - is stdin" },
  "strength": {
    type: number,
    help: "How much of that image to regenerate, 0 to 1 (0.75; 1 with a mask)",
  },
  "keep-scales": { type: integer, help: "Keep its first N scales, instead of a strength" },
  "mask": { type: path, help: "Image of what may change: white is regenerated, black stays" },
  ...IMAGE_FLAG,
  "preview": { type: { ...path, value: "DIR" }, help: "Write the image after each scale to DIR" },
  "animate": { type: path, help: "Write the scales as an animated PNG, numbered like the output" },
  "trace": { type: path, help: "Write logits, bits, codes and images as safetensors" },
  "disable-image-metadata": { type: on, help: "Write PNGs without the generation parameters" },
  "json": { type: on, help: "Print one JSON object" },
} as const;

/** The values that were given for {@link FLAGS}. */
export type Given = Values<typeof FLAGS>;
