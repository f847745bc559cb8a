import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { FINETUNE_FLAGS, TRAINING_FLAGS } from "./flags/training_flags.ts";
import { text } from "./flags/types.ts";
import { outputOf, runStages } from "./training/run.ts";

/** `bitwise finetune`: a model that goes on with images of one's own. */
export const finetune = command(
  {
    name: "finetune",
    summary: "Trains a model further on images of your own: all its weights, or LoRA adapters.",
    words: "MODEL DATA",
    flags: {
      ...TRAINING_FLAGS,
      ...FINETUNE_FLAGS,
      "prompt": { alias: "p", type: text, many: true, help: "Prompt of the samples; repeat" },
    },
    notes: [
      "DATA is a folder of NAME.png and NAME.txt, of jsonl files, or of a sheet with captions.json.",
      "With --lora, DIR gets lora.safetensors, for generate --lora and convert --lora.",
      "Example: bitwise finetune emoji-nano pictures -o models/style --lora 8 --minutes 5",
    ],
  },
  async (given, [model, data, ...more], io) => {
    if (model === undefined || data === undefined || more.length > 0) {
      throw new UsageError("Cannot finetune: give a model, and a folder of images");
    }
    outputOf(given);
    const training = await import("../model/training/mod.ts");
    const { "learning-rate": learningRate, "skip-broken": skipBroken, prompt, ...rest } = given;
    const options = { ...rest, learningRate, skipBroken, prompts: prompt };
    const config = await training.finetuneConfig(model, data, options);
    return await runStages(config, ["transformer"], given, io, training);
  },
);
