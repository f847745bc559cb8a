import {
  bytes,
  type FlagType,
  number,
  numbers,
  on,
  oneOf,
  path,
  seed,
  text,
  type Values,
  whole,
} from "./flags.ts";
import { GPU_FLAG } from "./gpu.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";
import { parseSchedule } from "../../model/config/schedule.ts";
import { FAST_MODES, type FastMode } from "../../model/generate/fast.ts";

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

/** Flags of `generate`, in stable-diffusion.cpp's words where it has them. */
export const FLAGS = {
  "prompt": { alias: "p", type: text, many: true, help: "What to draw; repeat it for more" },
  "negative-prompt": { alias: "n", type: text, help: "What to keep away from" },
  "output": {
    alias: "o",
    type: path,
    help: "PNG to write, numbered if there are several; - is stdout (output.png)",
  },
  "seed": { alias: "s", type: seed, help: "Seed of the first image, -1 for a random one" },
  "batch-count": { alias: "b", type: whole, help: "Images per prompt, seeds counting up (1)" },
  "width": { alias: "W", type: whole, help: "Pixels across, with --height" },
  "height": { alias: "H", type: whole, help: "Pixels down, with --width" },
  "schedule": { type: schedule, help: "Token grids of the scales, in place of a size" },
  "cfg-scale": { type: numbers, help: "Guidance; 1 is none" },
  "cfg-until": { type: whole, help: "Scales that are guided; the others take half the work" },
  "fast": { type: fast, help: "Approximate: kv attends to less, prune skips scales too" },
  "tau": { type: numbers, help: "Temperature" },
  "top-k": { type: whole, help: "1 takes the likelier value of each bit; 0 is off" },
  "top-p": { type: number, help: "Drops a bit's value of probability 1 - N or less; 0 is off" },
  "cfg-insertion-layer": { type: whole, help: "0 guides the logits, -K the K-th last block" },
  "greedy": { type: on, help: "Take the likelier value of each bit" },
  "model": { alias: "m", type: { ...path, value: "DIR" }, help: "Model folder (emoji-nano)" },
  "synthetic": {
    type: { ...text, value: "PRESET" },
    help: "Random weights of that size, no files",
  },
  "type": {
    type: oneOf(...WEIGHT_TYPES),
    help: "Storage of weights and cache (f32, or as quantised)",
  },
  ...GPU_FLAG,
  "max-vram": { type: bytes, help: "Keep only the part in memory that works, if all do not fit" },
  "text-features": { type: path, help: "features [rows, C] and lens [B] in place of prompts" },
  "negative-features": { type: path, help: "The same in place of a negative prompt" },
  "sampler-uniforms": { type: path, help: "scale{i}.uniforms [B, h, w, d] to draw bits with" },
  "force-bits": { type: path, help: "scale{i}.bits [B, h, w, d] to take as they are" },
  "init-img": { alias: "i", type: path, help: "Image or bits to start from" },
  "strength": { type: number, help: "How much of it is redrawn, 0 to 1 (0.75, with a mask 1)" },
  "keep-scales": { type: whole, help: "Scales of it that stay, in place of a strength" },
  "mask": { type: path, help: "What of it may change: white is drawn, black stays" },
  "preview": {
    type: { ...path, value: "DIR" },
    help: "Write the image after each scale into a folder",
  },
  "animate": { type: path, help: "Write the scales as an animated PNG, numbered like the output" },
  "trace": { type: path, help: "Write logits, bits, codes and images as safetensors" },
  "json": { type: on, help: "Print one JSON object" },
} as const;

/** What was given of {@link FLAGS}. */
export type Given = Values<typeof FLAGS>;
