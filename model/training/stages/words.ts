import { JSON_LIMIT } from "../../checkpoint/folder.ts";
import { readSmallFile } from "../../checkpoint/files.ts";
import { Tokenizer } from "../../text/tokenizer.ts";
import type { TrainConfig } from "../config/types.ts";

/** Reads the tokenizer of captions. @throws {FileError | CheckpointError} It is missing or wrong. */
export async function openWords({ model, words }: TrainConfig): Promise<Tokenizer> {
  const json = JSON.parse(new TextDecoder().decode(await readSmallFile(words, JSON_LIMIT)));
  const maxLength = Math.min(model.tokenizer.max_length, model.transformer.text_maxlen);
  return Tokenizer.load(json, { maxLength, name: words });
}
