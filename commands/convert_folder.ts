import { basename } from "../deps/@std/path.ts";
import type { Io } from "./io/io.ts";
import { ProgressLine } from "./io/progress.ts";
import { formatBytes, printable, quote } from "../engine/mod.ts";
import type { WeightType } from "../kernels/linear/weight_types.ts";
import { findPreset } from "../model/config/presets.ts";
import { assembleFolder } from "../model/release/assemble.ts";
import { presetOf } from "../model/release/find_release.ts";

/** `bitwise convert DIR`: the files of a published model to a model folder. */
export async function convertFolder(
  source: string,
  output: string,
  { type, preset }: { readonly type?: WeightType; readonly preset?: string },
  io: Io,
): Promise<number> {
  const model = preset === undefined ? await presetOf(source) : findPreset(preset);
  using progress = new ProgressLine(io);
  const { config, files } = await assembleFolder(source, output, model, {
    type,
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
