import { extname } from "../deps/@std/path.ts";
import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { LORA_FLAG } from "./flags/lora_flag.ts";
import { oneOf, path, text } from "./flags/types.ts";
import type { Io } from "./io/io.ts";
import { checkWritable } from "./io/output.ts";
import { ProgressLine } from "./io/progress.ts";
import { formatBytes, quote } from "../engine/mod.ts";
import type { LoraOption } from "../model/checkpoint/lora.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";

/** `bitwise convert`: a checkpoint to safetensors, or a release to a model folder. */
export const convert = command(
  {
    name: "convert",
    summary:
      "Converts a PyTorch checkpoint (.pth) to safetensors, or a release or model to a model folder.",
    words: "FILE|DIR",
    flags: {
      "output": { alias: "o", type: path, help: "Safetensors file, or model folder, to write" },
      "type": { type: oneOf(...WEIGHT_TYPES), help: "Storage of matrices (as stored)" },
      "preset": {
        type: { ...text, value: "NAME" },
        help: "Which model is in DIR, such as 2b (told from its file names)",
      },
      "key": {
        type: { ...text, value: "PATH" },
        help: "Dictionary that holds the tensors (found by itself)",
      },
      ...LORA_FLAG,
    },
    notes: [
      "Code in a checkpoint is never run. FILE may also be safetensors, or the index of its shards, to",
      "change the type or to add LoRA. DIR is a model folder, or holds the files of a published model:",
      "transformer, VAE, and flan-t5-xl with tokenizer.json.",
      "Example: bitwise convert infinity_2b_reg.pth -o transformer.safetensors --type f16",
    ],
  },
  (given, words, io) => run(given, words, io),
);

interface ConvertGiven {
  readonly output?: string;
  readonly type?: WeightType;
  readonly preset?: string;
  readonly key?: string;
  readonly lora?: readonly LoraOption[];
}

async function run(given: ConvertGiven, words: readonly string[], io: Io): Promise<number> {
  const [source] = words;
  if (!source || words.length > 1) throw new UsageError("Cannot convert: give one checkpoint");
  const { output, type, key } = given;
  const { isFolder } = await import("../model/checkpoint/files.ts");
  const folder = await isFolder(source);
  if (output === undefined) {
    throw new UsageError("Cannot convert: give the file to write with --output");
  }
  if (folder) {
    if (key !== undefined) throw new UsageError("Cannot use --key with a folder: convert its file");
    const { convertFolder } = await import("./convert_folder.ts");
    return await convertFolder(source, output, given, io);
  }
  if (given.preset !== undefined) {
    throw new UsageError("Cannot use --preset with a file: it names what is in a folder");
  }
  if (extname(output) !== ".safetensors") {
    throw new UsageError(`Cannot write ${quote(output)}: use a name that ends in .safetensors`);
  }
  await checkWritable(output);

  const { convertFile } = await import("../model/release/convert.ts");
  const { lowRanksOf } = await import("../model/checkpoint/lora.ts");
  const loras = await checkedLoras(source, given);
  using progress = new ProgressLine(io);
  const { model, key: found, tensors, left, dropped, parameters, bytes } = await convertFile(
    source,
    output,
    {
      type,
      key,
      added: lowRanksOf(loras),
      signal: io.signal,
      onProgress: ({ name, done, total }) =>
        progress.show(`Converting ${done + 1}/${total}: ${quote(name)}`, done / total),
    },
  );
  progress[Symbol.dispose]();
  const what = [
    ...model === "unknown" ? [] : [model],
    `${tensors} tensors`,
    `${parameters.toLocaleString("en")} parameters`,
    formatBytes(bytes),
    ...found ? [`from ${quote(found)}`] : [],
    ...left + dropped.length ? [`${left + dropped.length} other tensors left out`] : [],
  ];
  io.out(`${output}: ${what.join(", ")}`);
  return 0;
}

/** Reads adapters, and checks that those of a transformer were made for it. */
async function checkedLoras(source: string, { lora = [], key }: ConvertGiven) {
  const { checkLoraBase, readLoras } = await import("../model/checkpoint/lora.ts");
  const { checkpointRoot } = await import("../model/release/checkpoint_root.ts");
  const { openWeights } = await import("../model/release/convert.ts");
  const loras = await readLoras(lora);
  if (loras.length === 0) return loras;
  const file = await openWeights(source);
  try {
    const { model, tensors } = checkpointRoot(file, key);
    if (model === "transformer") await checkLoraBase(loras, file, tensors);
  } finally {
    file.close();
  }
  return loras;
}
