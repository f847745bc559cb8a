import { GPU_FLAG } from "./gpu.ts";
import { type FlagType, integerFrom, number, on, oneOf, path } from "./types.ts";

/** A number of minutes. */
const minutes: FlagType<number> = {
  value: "M",
  need: "a number above 0, at most 1000000",
  read(given) {
    const value = number.read(given);
    return value !== undefined && value > 0 && value <= 1e6 ? value : undefined;
  },
};

/** A number above 0. */
const rate: FlagType<number> = {
  value: "N",
  need: "a number above 0, at most 10",
  read(given) {
    const value = number.read(given);
    return value !== undefined && value > 0 && value <= 10 ? value : undefined;
  },
};

/** The flags of commands that train. */
export const TRAINING_FLAGS = {
  "output": { alias: "o", type: { ...path, value: "DIR" }, help: "Folder of the model to make" },
  "minutes": { type: minutes, help: "End after M minutes of training, with a complete model" },
  "steps": { type: integerFrom(1, 1e9), help: "End after N steps" },
  "seed": {
    alias: "s",
    type: integerFrom(0, Number.MAX_SAFE_INTEGER),
    help: "Seed of weights, order and flips",
  },
  "resume": { type: on, help: "Go on from the last checkpoint in DIR" },
  "any-config": { type: on, help: "Go on even if other settings changed" },
  ...GPU_FLAG,
  "json": { type: on, help: "Print one JSON object" },
} as const;

/** The flags of `finetune` that decide how much memory a step takes, with `--batch`. */
export const STEP_FLAGS = {
  "recompute": {
    type: on,
    help: "Less memory: compute blocks again in the backward pass",
  },
  "scales": { type: integerFrom(1, 1000), help: "Learn the first N scales only (all)" },
  "dtype": { type: oneOf("f32", "f16"), help: "Type of activations (f32)" },
} as const;

/** The flags of `finetune` besides {@link TRAINING_FLAGS}. */
export const FINETUNE_FLAGS = {
  "lora": { type: integerFrom(1, 1024), help: "Train adapters of rank N instead of the weights" },
  "batch": { type: integerFrom(1, 65536), help: "Images of a forward and backward pass (8)" },
  "accumulate": { type: integerFrom(1, 65536), help: "Passes that make one step (1)" },
  ...STEP_FLAGS,
  "skip-broken": { type: on, help: "Take the next image where one cannot be read" },
  "learning-rate": { type: rate, help: "Highest learning rate (0.0001, with --lora 0.001)" },
} as const;
