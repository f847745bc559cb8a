import { command } from "./command.ts";
import { BATCH_FLAGS } from "./flags/batch_flags.ts";
import { UsageError } from "./flags/flags.ts";

/** `bitwise batch`: a list of prompts to a folder of images. */
export const batch = command(
  {
    name: "batch",
    summary: "Generates the images of a list of prompts, and goes on where it was stopped.",
    words: "PROMPTS",
    flags: BATCH_FLAGS,
    notes: [
      'PROMPTS has a line for each: {"prompt": "a red apple", "seed": 7, "n": 4}, or just a prompt.',
      "Other fields are id, width, height, cfg_scale, tau, negative_prompt, init_img, mask, strength.",
      "Images that exist are not made again; DIR/results.jsonl has a line for each.",
      "With --redis, workers make the images, and DIR collects them.",
      "Example: bitwise batch prompts.jsonl -o pictures",
    ],
  },
  async (given, [file, ...rest], io) => {
    if (file === undefined || rest.length > 0) {
      throw new UsageError("Cannot run a batch: give one file of prompts");
    }
    if (given.output === undefined || given.output === "-") {
      throw new UsageError("Cannot run a batch: name the folder of the images with --output");
    }
    const { batchImages } = await import("./fleet/run_batch.ts");
    return await batchImages(file, given.output, given, io);
  },
);
