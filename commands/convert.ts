import { extname } from "../deps/@std/path.ts";
import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { oneOf, path, text } from "./flags/types.ts";
import type { Io } from "./io/io.ts";
import { checkWritable } from "./io/output.ts";
import { ProgressLine } from "./io/progress.ts";
import { formatBytes, quote } from "../engine/mod.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";

/** `bitwise convert`: a checkpoint to safetensors, or a release to a model folder. */
export const convert = command(
  {
    name: "convert",
    summary: "Converts a PyTorch checkpoint (.pth) to safetensors, or a release to a model folder.",
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
    },
    notes: [
      "Code in a checkpoint is never run. FILE may also be safetensors, or the index of its shards, to",
      "change the type. DIR holds the files of a published model: transformer, VAE, and flan-t5-xl",
      "with tokenizer.json.",
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
  using progress = new ProgressLine(io);
  const { model, key: found, tensors, left, dropped, parameters, bytes } = await convertFile(
    source,
    output,
    {
      type,
      key,
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
