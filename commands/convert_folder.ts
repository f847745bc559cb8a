import { basename } from "../deps/@std/path.ts";
import type { Io } from "./io/io.ts";
import { ProgressLine } from "./io/progress.ts";
import { formatBytes, printable, quote } from "../engine/mod.ts";
import type { WeightType } from "../kernels/linear/weight_types.ts";
import { type Lora, type LoraOption, readLoras } from "../model/checkpoint/lora.ts";
import { findPreset, type Preset } from "../model/config/presets.ts";
import { assembleRelease } from "../model/release/assemble.ts";
import { findRelease, presetOf } from "../model/release/find_release.ts";
import { modelFolder } from "../model/release/model_folder.ts";

/** Flags of `convert` that matter for a folder. */
interface FolderGiven {
  readonly type?: WeightType;
  readonly preset?: string;
  readonly lora?: readonly LoraOption[];
}

/** `bitwise convert DIR`: a model folder, or the files of a published model, to a model folder. */
export async function convertFolder(
  source: string,
  output: string,
  { type, preset, lora = [] }: FolderGiven,
  io: Io,
): Promise<number> {
  const folder = preset === undefined ? await modelFolder(source) : null;
  const model = folder ?? (preset === undefined ? await presetOf(source) : findPreset(preset));
  const loras = await readLoras(lora);
  const release = "release" in model ? model.release : await findRelease(source, model);
  using progress = new ProgressLine(io);
  const { config, files } = await assembleRelease(release, output, named(model, loras), {
    type,
    loras,
    signal: io.signal,
    onProgress: ({ file, name, done, total }) =>
      progress.show(`Converting ${file} ${done + 1}/${total}: ${quote(name)}`, done / total),
  });
  progress[Symbol.dispose]();
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  io.out(`${output}: ${config.name}, ${formatBytes(bytes)}`);
  for (const { name, source, tensors, bytes } of files) {
    io.out(
      `  ${name}: ${tensors} tensors, ${formatBytes(bytes)}, from ${printable(basename(source))}`,
    );
  }
  return 0;
}

/** A model with adapters has another name: its images are others. */
function named<T extends Pick<Preset, "name" | "config">>(model: T, loras: readonly Lora[]): T {
  if (loras.length === 0) return model;
  const name = [model.name, ...loras.map(({ name }) => name)].join("+");
  return { ...model, name, config: { ...model.config, name } };
}
