import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { TRAINING_FLAGS } from "./flags/training_flags.ts";
import { outputOf, runStages } from "./training/run.ts";
import { stagesOf } from "./training/stages.ts";

/** `bitwise train`: a model, or one of its networks, from a CONFIG.json. */
export const train = command(
  {
    name: "train",
    summary: "Trains a model from a config: its visual tokenizer, transformer, or both and more.",
    words: "tokenizer|transformer|decoder|all CONFIG.json",
    flags: TRAINING_FLAGS,
    notes: [
      "all trains the tokenizer, then the transformer with the text encoder, then the decoder again.",
      "DIR also gets log.jsonl, curves.svg, sheets of samples and checkpoints. Ctrl-C makes a",
      "checkpoint first.",
      "Example: bitwise train all examples/training/emoji-scenes.json -o models/mine --minutes 60",
    ],
  },
  async (given, [stage, file, ...rest], io) => {
    const stages = stagesOf(stage);
    if (file === undefined || rest.length > 0) {
      throw new UsageError("Cannot train: give one CONFIG.json after the stage");
    }
    outputOf(given);
    const training = await import("../model/training/mod.ts");
    return await runStages(await training.readTrainConfig(file), stages, given, io, training);
  },
);
