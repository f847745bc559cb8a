import { runCases } from "./child.ts";
import type { Reader } from "./reader.ts";
import { torch, torchBytes, torchLegacy, torchPickle, torchShrunk } from "./readers/checkpoint.ts";
import { jpeg, webp } from "./readers/coded.ts";
import { commands } from "./readers/commands.ts";
import { hubCache, release } from "./readers/folders.ts";
import { exifs, kinds, profiles } from "./readers/metadata.ts";
import { batchLines, batchResults, cards, places, queued, reports, s3 } from "./readers/fleet.ts";
import { functions } from "./readers/functions.ts";
import { http } from "./readers/http.ts";
import { large } from "./readers/large.ts";
import { config, tuning } from "./readers/model.ts";
import { decoded, encoded, generated, planned } from "./readers/options.ts";
import { png, pngBytes, pngText } from "./readers/png.ts";
import {
  bits,
  safetensors,
  safetensorsBytes,
  safetensorsShrunk,
  shards,
} from "./readers/tensors.ts";
import { parameters, parametersWritten, prompts } from "./readers/texts.ts";
import { tokenizer } from "./readers/tokenizer.ts";
import { lora, trainConfig, trainLog } from "./readers/training.ts";
import {
  heldOut,
  imageFolder,
  jsonl,
  sheetCaptions,
  spriteCaptions,
} from "./readers/training_data.ts";
import { folderOnWeb, hub, hubEnvironment } from "./readers/web.ts";

/** Everything that reads foreign bytes or text. */
export const READERS: Readonly<Record<string, Reader>> = {
  png,
  "png-bytes": pngBytes,
  "png-text": pngText,
  jpeg,
  webp,
  exif: exifs,
  icc: profiles,
  kinds,
  safetensors,
  "safetensors-bytes": safetensorsBytes,
  "safetensors-shrunk": safetensorsShrunk,
  shards,
  bits,
  torch,
  "torch-pickle": torchPickle,
  "torch-bytes": torchBytes,
  "torch-shrunk": torchShrunk,
  "torch-legacy": torchLegacy,
  config,
  tokenizer,
  tuning,
  hub,
  "hub-environment": hubEnvironment,
  "hub-cache": hubCache,
  release,
  "folder-on-web": folderOnWeb,
  parameters,
  "parameters-written": parametersWritten,
  prompts,
  commands,
  plan: planned,
  generate: generated,
  encode: encoded,
  decode: decoded,
  "train-config": trainConfig,
  "train-log": trainLog,
  lora,
  functions,
  "sprite-captions": spriteCaptions,
  "held-out": heldOut,
  "sheet-captions": sheetCaptions,
  jsonl,
  "image-folder": imageFolder,
  http,
  queued,
  cards,
  reports,
  "batch-lines": batchLines,
  "batch-results": batchResults,
  places,
  s3,
  large,
};

if (import.meta.main) await runCases(READERS);
