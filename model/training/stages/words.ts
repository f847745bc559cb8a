import { ConfigError, quote } from "../../../engine/mod.ts";
import { JSON_LIMIT } from "../../checkpoint/place.ts";
import { readSmallFile } from "../../checkpoint/files.ts";
import { Tokenizer } from "../../text/tokenizer.ts";
import { jsonOf } from "../config/train_config.ts";
import type { TrainConfig } from "../config/types.ts";

/** What makes token ids of captions. */
export type Words = Pick<Tokenizer, "encode">;

/**
 * Reads the tokenizer of captions.
 *
 * @throws {FileError | CheckpointError} It is missing or wrong.
 * @throws {ConfigError} `bad-json`; `bad-value`: it has tokens that the text encoder does not know.
 */
export async function openWords({ model, words }: TrainConfig): Promise<Tokenizer> {
  const text = new TextDecoder().decode(await readSmallFile(words, JSON_LIMIT));
  const maxLength = Math.min(model.tokenizer.max_length, model.transformer.text_maxlen);
  const tokenizer = Tokenizer.load(jsonOf(text, words), { maxLength, name: words });
  const { vocab_size = Infinity } = model.text_encoder ?? {};
  if (tokenizer.size <= vocab_size) return tokenizer;
  throw new ConfigError(
    "bad-value",
    `Cannot use ${
      quote(words)
    }: it has ${tokenizer.size} tokens, text_encoder.vocab_size is ${vocab_size}; ` +
      "name the model's own, or make vocab_size as large",
  );
}
