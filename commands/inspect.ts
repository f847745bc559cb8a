import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { GPU_FLAG } from "./flags/gpu.ts";
import { IMAGE_FLAG, imageLimits } from "./flags/limits.ts";
import { OVERWRITE_FLAG } from "./flags/output_flags.ts";
import { on, path } from "./flags/types.ts";
import type { Inspection } from "./inspecting/inspection.ts";
import { inspectTensors } from "./inspecting/tensors.ts";
import { readSource } from "./io/input.ts";
import { type Io, outJson } from "./io/io.ts";
import { bytesSource, Safetensors } from "../engine/mod.ts";
import type { ImageLimits } from "../model/image/base/rows.ts";

/** Flags that mean nothing without a sheet. */
const OF_SHEET = ["model", "gpu", "overwrite"] as const;

/** `bitwise inspect`: tensors, types, shapes, parameters and configuration. */
export const inspect = command(
  {
    name: "inspect",
    summary: "Shows what is in a model folder, a safetensors or bits file, or a PNG.",
    words: "FILE|DIR",
    flags: {
      "json": { type: on, help: "Print one JSON object" },
      "sheet": { type: path, help: "For bits: write the image after each scale, side by side" },
      ...OVERWRITE_FLAG,
      "model": {
        alias: "m",
        type: { ...path, value: "NAME|DIR" },
        help: "Model that decodes the sheet: its name, or its folder (emoji-scenes)",
      },
      ...IMAGE_FLAG,
      ...GPU_FLAG,
    },
    notes: ["DIR is a model folder, and FILE may be - for stdin. Only a sheet needs a GPU."],
  },
  async (given, words, io) => {
    const [target] = words;
    if (!target || words.length > 1) {
      throw new UsageError("Cannot inspect: give one safetensors file, PNG or model folder");
    }
    const alone = OF_SHEET.find((name) => given[name] !== undefined);
    if (alone && given.sheet === undefined) {
      throw new UsageError(`Cannot use --${alone} without --sheet`);
    }
    if (given.sheet !== undefined) {
      const { writeSheet } = await import("./inspecting/sheet.ts");
      return await writeSheet(target, given.sheet, given, io);
    }
    const { lines, report } = await inspectTarget(target, io, {
      ...imageLimits(given),
      signal: io.signal,
    });
    if (given.json) outJson(io, report);
    else for (const line of lines) io.out(line);
    return 0;
  },
);

/** Inspects a folder or a file by its name, and a pipe by what it begins with. */
async function inspectTarget(target: string, io: Io, limits: ImageLimits): Promise<Inspection> {
  const info = await Deno.stat(target).catch(() => null);
  if (info?.isDirectory) {
    const { inspectModel } = await import("./inspecting/model.ts");
    return await inspectModel(target);
  }
  const { fileSource, openTensorFile } = await import("../model/checkpoint/files.ts");
  const { isPng } = await import("../model/image/png/chunks.ts");
  let image = /\.png$/i.test(target);
  if (!image && target !== "-" && (info === null || info.isFile)) {
    if (info) {
      const source = await fileSource(target);
      image = isPng(await source.read(0, Math.min(8, source.size)));
      source.close();
    }
    if (!image) return await inspectTensors(target, await openTensorFile(target));
  }
  const { name, bytes } = await readSource(target, io);
  if (image || isPng(bytes)) {
    const { inspectPng } = await import("./inspecting/png.ts");
    return await inspectPng(name, bytes, limits);
  }
  return await inspectTensors(name, await Safetensors.open(bytesSource(name, bytes)));
}
