import { integerFrom, on, path } from "./types.ts";

/** The help of `--model`. */
export const MODEL_HELP = "Name of a model, or its folder (emoji-scenes)";

/** The flag of commands that write images or bits. */
export const OVERWRITE_FLAG = {
  "overwrite": {
    type: on,
    help: "Replace files that exist; without it the next free number is used",
  },
} as const;

/** The flags of commands that may write several images. */
export const NUMBER_FLAGS = {
  "output": {
    alias: "o",
    type: path,
    help: "PNG to write (output.png); several are numbered, %03d says how; - is stdout",
  },
  "output-begin-idx": {
    type: integerFrom(0, 999_999),
    help: "Number of the first image (1; 0 with %d)",
  },
  ...OVERWRITE_FLAG,
} as const;

/** The flag of commands that write images. */
export const UPSCALE_FLAG = {
  "upscale": { type: integerFrom(1, 32), help: "Enlarge PNGs N times, each pixel to NxN (1)" },
} as const;
