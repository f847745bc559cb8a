import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { GPU_FLAG } from "./flags/gpu.ts";
import { OVERWRITE_FLAG } from "./flags/output_flags.ts";
import { on, path } from "./flags/types.ts";
import { readSource, type Source } from "./io/input.ts";
import { type Io, orAbort } from "./io/io.ts";
import type { LoadGiven, ModelGiven } from "./io/model.ts";
import { Output } from "./io/output.ts";
import { ProgressLine } from "./io/progress.ts";
import { contactSheet } from "./io/sheet.ts";
import { table } from "./io/table.ts";
import {
  bytesSource,
  dtypeBytes,
  formatBytes,
  isDtype,
  quote,
  Safetensors,
  type TensorFile,
} from "../engine/mod.ts";
import { holdsBits, readBits } from "../model/bits/bits_file.ts";
import { bitCount, type ImageBits, takeScales } from "../model/bits/image_bits.ts";
import { scalesOf, storedBlocks } from "../model/checkpoint/quantised_blocks.ts";
import { gridText } from "../model/config/grid.ts";
import type { ModelConfig } from "../model/config/types.ts";

/** Images in a row of a sheet. */
const COLUMNS = 7;

/** `bitwise inspect`: tensors, types, shapes, parameters and configuration. */
export const inspect = command(
  {
    name: "inspect",
    summary: "Shows what is in a model folder, a safetensors or bits file, or a PNG.",
    words: "FILE|MODEL",
    flags: {
      "json": { type: on, help: "Print one JSON object" },
      "sheet": { type: path, help: "Of bits: write the image after each scale, side by side" },
      ...OVERWRITE_FLAG,
      "model": {
        alias: "m",
        type: { ...path, value: "NAME|DIR" },
        help: "Model that decodes a sheet (emoji-nano)",
      },
      ...GPU_FLAG,
    },
    notes: ["FILE may be - for stdin. Only a sheet needs a GPU."],
  },
  async (given, words, io) => {
    const [target] = words;
    if (!target || words.length > 1) {
      throw new UsageError("Cannot inspect: give one safetensors file, PNG or model folder");
    }
    if (given.sheet !== undefined) return await writeSheet(target, given.sheet, given, io);
    const { lines, report } = await inspectTarget(target, io);
    for (const line of given.json ? [JSON.stringify(report)] : lines) io.out(line);
    return 0;
  },
);

/** Inspects a folder or a file by its name, and a pipe by what it begins with. */
async function inspectTarget(target: string, io: Io): Promise<Inspection> {
  const info = await Deno.stat(target).catch(() => null);
  if (info?.isDirectory) return await inspectModel(target);
  if (/\.png$/i.test(target)) return await inspectPng(target, await readSource(target, io));
  const { openTensorFile } = await import("../model/checkpoint/files.ts");
  if (target !== "-" && (info === null || info.isFile)) {
    return await inspectFile(target, await openTensorFile(target));
  }
  const source = await readSource(target, io);
  if (source.bytes[0] === 0x89) return await inspectPng(source.name, source);
  const { name, bytes } = source;
  return await inspectFile(name, await Safetensors.open(bytesSource(name, bytes)));
}

interface FileReport {
  readonly file: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly dtypes: Readonly<Record<string, { tensors: number; parameters: number }>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[] }[];
}

interface Inspection {
  readonly lines: readonly string[];
  readonly report: unknown;
}

async function inspectFile(path: string, file: TensorFile): Promise<Inspection> {
  try {
    if (holdsBits(file)) return await inspectBits(await readBits(file), reportOf(file).bytes, path);
    const report = reportOf(file);
    return { lines: describe(report), report };
  } finally {
    file.close();
  }
}

async function inspectBits(bits: ImageBits, bytes: number, path: string): Promise<Inspection> {
  const { bitEntropy } = await import("../model/analysis.ts");
  const { width, height, d, latent, schedule, model } = bits;
  const count = bitCount(bits);
  const bitsPerPixel = count / width / height;
  const scales = bitEntropy([bits]);
  const of = model === undefined ? "" : ` of ${printable(model)}`;
  const lines = [
    `${path}: an image of ${width}x${height} pixels as ${count.toLocaleString("en")} bits` +
    `${of}, ${bitsPerPixel.toFixed(3)} a pixel, ${formatBytes(bytes)}`,
    `${gridText(latent)} positions of ${d} bits, ${schedule.length} scales`,
    ...table(
      ["scale", "grid", "bits", "ones %", "entropy"],
      scales.map(({ grid, bits, ones, entropy }, s) => [
        `${s + 1}`,
        gridText(grid),
        bits.toLocaleString("en"),
        (100 * ones).toFixed(1),
        entropy.toFixed(3),
      ]),
    ),
  ];
  const report = {
    file: path,
    width,
    height,
    d,
    latent: gridText(latent),
    model,
    bits: count,
    bitsPerPixel,
    bytes,
    scales: scales.map((scale) => ({ ...scale, grid: gridText(scale.grid) })),
  };
  return { lines, report };
}

/** Writes what an image looks like after each scale. */
async function writeSheet(
  path: string,
  sheet: string,
  given: ModelGiven & LoadGiven & { readonly json?: boolean; readonly overwrite?: boolean },
  io: Io,
): Promise<number> {
  const { closeModel, openModel } = await import("./io/model.ts");
  const { encodeImage } = await import("./io/enlarge.ts");
  const { readInput } = await import("./io/images.ts");
  const bits = await readInput(path, io);
  if (!("scales" in bits)) {
    throw new UsageError(`Cannot make a sheet of "${path}": it holds no bits; encode it first`);
  }
  const output = new Output(io, given);
  const target = await output.chooseOne(sheet);
  using progress = new ProgressLine(io);
  const model = await openModel(given, io, progress);
  const { signal } = io;
  const soFar = bits.schedule.map((_, s) => takeScales(bits, s + 1));
  const images = await orAbort(signal, model.decode(soFar, { signal }));
  const made = contactSheet(images, Math.min(COLUMNS, images.length));
  const { png, width, height } = await encodeImage(made);
  progress[Symbol.dispose]();
  const file = await output.write(target, png);
  const report = { path: file, width, height, scales: images.length };
  if (given.json) io.out(JSON.stringify(report));
  else output.print(file);
  await closeModel(model, io);
  return 0;
}

async function inspectPng(path: string, { bytes }: Source): Promise<Inspection> {
  const { decodePng, readPngText } = await import("../model/image/png.ts");
  const { width, height } = decodePng(bytes);
  const text = readPngText(bytes);
  const lines = Object.entries(text).flatMap(([key, value]) => [`${key}:`, value]);
  return { lines: [`${path}: ${width}x${height}`, ...lines], report: { width, height, text } };
}

async function inspectModel(folder: string): Promise<Inspection> {
  const { openFolder } = await import("../model/checkpoint/folder.ts");
  const { parseConfig } = await import("../model/config/config.ts");
  const files = openFolder(folder);
  const config = parseConfig(await files.json("config.json"), files.path("config.json"));
  const { transformer, vae, text_encoder, tokenizer } = config.files;
  const reports: FileReport[] = [];
  const missing: string[] = [];
  for (const name of [transformer, vae, text_encoder]) {
    if (await files.exists(name)) {
      const file = await files.tensors(name);
      reports.push(reportOf(file));
      file.close();
    } else missing.push(name);
  }
  if (!await files.exists(tokenizer)) missing.push(tokenizer);
  const parameters = reports.reduce((sum, report) => sum + report.parameters, 0);
  const lines = [
    ...summary(config),
    `Parameters  ${count(parameters)}`,
    ...missing.length ? [`Missing     ${missing.join(", ")}`] : [],
    ...reports.flatMap((report) => ["", ...describe(report)]),
  ];
  return { lines, report: { config, parameters, missing, files: reports } };
}

function reportOf(file: TensorFile): FileReport {
  const dtypes: Record<string, { tensors: number; parameters: number }> = {};
  let bytes = 0;
  let parameters = 0;
  const tensors: { name: string; dtype: string; shape: readonly number[] }[] = [];
  // a weight in blocks and its scales are one
  const scales = new Set<string>();
  for (const name of file.tensors.keys()) {
    if (storedBlocks(file.tensors, name)?.scales) scales.add(scalesOf(name));
  }
  for (const { name, byteLength, ...info } of file.tensors.values()) {
    bytes += byteLength;
    if (scales.has(name)) continue;
    const blocks = scales.has(scalesOf(name)) ? storedBlocks(file.tensors, name) : null;
    const dtype = blocks?.type ?? info.dtype;
    const shape = blocks?.shape ?? info.shape;
    const elements = shape.reduce((product, size) => product * size, 1);
    tensors.push({ name, dtype, shape });
    const of = dtypes[dtype] ??= { tensors: 0, parameters: 0 };
    of.tensors++;
    of.parameters += elements;
    parameters += elements;
  }
  return { file: file.name, bytes, parameters, dtypes, metadata: file.metadata, tensors };
}

function describe({ file, bytes, parameters, dtypes, metadata, tensors }: FileReport): string[] {
  const kinds = Object.entries(dtypes)
    .sort(([a], [b]) => width(b) - width(a))
    .map(([dtype, of]) => `${of.tensors} ${dtype}`);
  const column = Math.max(0, ...tensors.map(({ name }) => name.length));
  return [
    `${file}: ${tensors.length} tensors (${kinds.join(", ")}), ${count(parameters)} parameters, ` +
    formatBytes(bytes),
    ...Object.entries(metadata).map(([key, value]) => `  ${key} = ${quote(value)}`),
    ...tensors.map(({ name, dtype, shape }) =>
      `  ${printable(name).padEnd(column)}  ${dtype.padEnd(4)}  [${shape.join(", ")}]`
    ),
  ];
}

/** Bytes of a number, for their order. */
function width(dtype: string): number {
  return isDtype(dtype) ? dtypeBytes(dtype) : 0.5;
}

/** Names come from files of others: nothing of them may move the cursor. */
function printable(name: string): string {
  // deno-lint-ignore no-control-regex -- that is the point
  return name.replace(/[\x00-\x1f\x7f-\x9f]/g, "�");
}

function count(parameters: number): string {
  if (parameters < 1e6) return parameters.toLocaleString("en");
  const [value, unit] = parameters < 1e9 ? [parameters / 1e6, "M"] : [parameters / 1e9, "B"];
  return `${value.toFixed(2)} ${unit} (${parameters.toLocaleString("en")})`;
}

function summary(config: ModelConfig): string[] {
  const { name, image, transformer: t, vae, text_encoder: t5, scale_schedule, defaults } = config;
  const list = (value: number | readonly number[]) => [value].flat().join(",");
  const rows: [string, string][] = [
    ["Model", printable(name)],
    ["Images", `${image.width}x${image.height}`],
    [
      "Transformer",
      `depth ${t.depth}, width ${t.embed_dim}, ${t.num_heads} heads of ` +
      `${t.embed_dim / t.num_heads}, FFN ${t.ffn_hidden}, ${t.d_vae} bits a token` +
      (t.apply_spatial_patchify ? ", 2x2 patches" : ""),
    ],
    ["VAE", `${vae.codebook_dim} bits, patch ${vae.patch_size}`],
    [
      "Text",
      t5
        ? `T5, ${t5.num_layers} layers, width ${t5.d_model}, at most ${config.tokenizer.max_length} tokens`
        : `features of ${t.text_channels} channels`,
    ],
    ["Schedule", scale_schedule.map(([, h, w]) => `${h}x${w}`).join(" ")],
    ["Defaults", `cfg ${list(defaults.cfg)}, tau ${list(defaults.tau)}, seed ${defaults.seed}`],
  ];
  return rows.map(([key, value]) => `${key.padEnd(11)} ${value}`);
}
