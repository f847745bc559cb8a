import type { ModelConfig } from "../../config/types.ts";
import type { TextOptions } from "./text_side.ts";

/** Tokens of a short prompt including `</s>`. */
const SHORT = 16;

/** Options with prompts of `tokens` each, for a model of random weights, whose tokenizer takes a word as a token. */
export function blankPrompt(
  { text_encoder, transformer, tokenizer }: ModelConfig,
  tokens: number = Math.min(SHORT, tokenizer.max_length),
  prompts: number = 1,
): TextOptions {
  if (text_encoder) {
    return { prompt: Array<string>(prompts).fill("word ".repeat(Math.max(1, tokens - 1))) };
  }
  const width = transformer.text_channels;
  const features = new Float32Array(prompts * tokens * width);
  return { textFeatures: { features, width, lens: Array<number>(prompts).fill(tokens) } };
}
