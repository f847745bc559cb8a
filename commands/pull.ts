import { join } from "../deps/@std/path.ts";
import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { on, oneOf, path } from "./flags/types.ts";
import { type Io, note } from "./io/io.ts";
import { ProgressLine } from "./io/progress.ts";
import { BitwiseError, FileError, formatBytes, quote, readEnv } from "../engine/mod.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";
import type { Preset } from "../model/config/presets.ts";

/** Codes of a hub that does not answer: what is in the cache will do, as for huggingface_hub. */
const AWAY = ["unreachable", "stalled", "too-slow"];

/** Options of {@linkcode pullModel}. */
export interface PullModelOptions {
  readonly output: string;
  readonly type?: WeightType;
  /** Milliseconds before a lost connection is made again. */
  readonly pause?: number;
}

/** `bitwise pull`: a model from the hub to a model folder. */
export const pull = command(
  {
    name: "pull",
    summary:
      "Downloads a published model from the Hugging Face hub, and makes a model folder of it.",
    words: "NAME",
    flags: {
      "output": {
        alias: "o",
        type: { ...path, value: "DIR" },
        help: "Model folder to make (models/NAME)",
      },
      "type": { type: oneOf(...WEIGHT_TYPES), help: "Storage of matrices (as published)" },
      "list": { type: on, help: "List the published models and their sizes" },
    },
    notes: [
      "Run it as: deno task pull 2b --type f16",
      "Downloads stay in the cache of Hugging Face, ~/.cache/huggingface/hub. HF_HOME or HF_HUB_CACHE",
      "name another folder, HF_ENDPOINT another hub, HF_TOKEN the token of your account if needed;",
      "HF_HUB_OFFLINE=1 takes what is in the cache.",
      "After an interruption or a lost connection, the same command continues where it stopped.",
    ],
  },
  async (given, words, io) => {
    if (given.list) return await list(io), 0;
    const [name] = words;
    if (!name || words.length > 1) {
      throw new UsageError("Cannot pull: give one model, such as 2b; --list shows them");
    }
    const { findPreset } = await import("../model/config/presets.ts");
    const { pulledFolder } = await import("../model/checkpoint/find_model.ts");
    const preset = findPreset(name);
    const { output = pulledFolder(preset), type } = given;
    return await pullModel(preset, { output, type }, io, readEnv);
  },
);

/**
 * Downloads a model and converts it.
 *
 * @param env Reads an environment variable.
 */
export async function pullModel(
  preset: Preset,
  { output, type, pause }: PullModelOptions,
  io: Io,
  env: (name: string) => string | undefined,
): Promise<number> {
  const { publishedFile, pullRelease } = await import("../model/release/pull.ts");
  publishedFile(preset);
  if (await isMade(output, preset)) {
    io.out(`${output}: ${preset.name} exists already`);
    return 0;
  }
  const { hubSettings } = await import("../model/release/hub/hub_environment.ts");
  const { CachedHub } = await import("../model/release/hub/cached_hub.ts");
  const { Hub } = await import("../model/release/hub/hub.ts");
  const settings = await hubSettings(env);
  const { cache, symlinks } = settings;
  const { signal } = io;
  const cached = new CachedHub(cache, signal);

  using progress = new ProgressLine(io);
  const shown = throttle(io);
  let planned = false;
  const from = (hub: typeof cached | InstanceType<typeof Hub>) =>
    pullRelease(hub, cache, preset, {
      pause,
      symlinks,
      onPlan: ({ files, bytes, missing }) => {
        planned = true;
        const left = missing < bytes ? `, ${formatBytes(bytes - missing)} downloaded already` : "";
        progress[Symbol.dispose]();
        note(io, `${preset.name}: ${files} files, ${formatBytes(bytes)}${left}, in ${cache}`);
      },
      onProgress: ({ path, done, before, total }) => {
        if (!settings.progress) return;
        const rate = shown(path, done - before, done / total);
        if (rate === undefined) return;
        const percent = Math.floor(100 * done / total);
        const of = `${formatBytes(done)} of ${formatBytes(total)}`;
        const text = `Downloading ${quote(path)}`;
        if (io.errIsTerminal) progress.show(`${text}, ${of}, ${formatBytes(rate)}/s`, done / total);
        else progress.show(`${text}: ${percent} %, ${of}, ${formatBytes(rate)}/s`);
      },
    });
  try {
    const release = settings.offline
      ? await from(cached)
      : await from(new Hub({ ...settings, signal })).catch(async (error) => {
        const isAway = error instanceof BitwiseError && AWAY.includes(error.code);
        if (planned || !isAway) throw error;
        note(io, `${error.message.split(";")[0]}; looking in ${cache}`);
        return await from(cached).catch(() => {
          signal.throwIfAborted();
          throw error;
        });
      });
    await convert(release, preset, { output, type }, io, progress);
    return 0;
  } catch (error) {
    progress[Symbol.dispose]();
    if (planned && io.signal.aborted && error === io.signal.reason) {
      note(io, "What was downloaded is kept: run the same command to continue");
    }
    throw error;
  }
}

async function convert(
  release: import("../model/release/find_release.ts").Release,
  preset: Preset,
  { output, type }: PullModelOptions,
  io: Io,
  progress: ProgressLine,
): Promise<void> {
  const { assembleFolder } = await import("../model/release/assemble.ts");
  const { files } = await assembleFolder(release, output, preset, {
    type,
    parents: true,
    signal: io.signal,
    onProgress: ({ file, name, done, total }) =>
      progress.show(`Converting ${file} ${done + 1}/${total}: ${quote(name)}`, done / total),
  });
  progress[Symbol.dispose]();
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  io.out(`${output}: ${preset.name}, ${formatBytes(bytes)}`);
}

/** Whether the folder is there; refused before a long download if it is something else. */
async function isMade(output: string, { name }: Preset): Promise<boolean> {
  const info = await Deno.stat(output).catch(() => null);
  if (!info) return false;
  const { readSmallFile } = await import("../model/checkpoint/files.ts");
  try {
    const config = await readSmallFile(join(output, "config.json"), 1e6);
    if (JSON.parse(new TextDecoder().decode(config)).name === name) return true;
  } catch {
    // no model folder
  }
  if (info.isDirectory && [...Deno.readDirSync(output)].length === 0) return false;
  const what = info.isDirectory ? "there are other files in it" : "it is a file";
  throw new FileError("exists", `Cannot write ${quote(output)}: ${what}; name a new folder`);
}

/** Ten lines a second on a terminal, else one for each tenth of a file: bytes per second when one is due. */
function throttle(
  io: Io,
): (path: string, bytes: number, part: number) => number | undefined {
  let [file, start, last, step] = ["", 0, 0, -1];
  return (path, bytes, part) => {
    const now = performance.now();
    if (path !== file) [file, start, last, step] = [path, now, -Infinity, -1];
    const next = Math.floor(10 * part);
    if (io.errIsTerminal ? now - last < 100 && part < 1 : next === step) return undefined;
    [last, step] = [now, next];
    return bytes / Math.max(now - start, 100) * 1000;
  };
}

/** Sizes follow from the hyper-parameters, so that the list needs no network. */
async function list(io: Io): Promise<void> {
  const { PRESETS, TEXT_ENCODER } = await import("../model/config/presets.ts");
  const { parseConfig } = await import("../model/config/config.ts");
  const { countParameters, parameterShapes, t5Shapes, vaeShapes } = await import(
    "../model/checkpoint/tensor_shapes.ts"
  );
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => i ? cell.padStart(15) : cell.padEnd(8)).join("").trimEnd();
  io.out(row(["NAME", "PARAMETERS", "VAE", "AS F32", "AS F16"]));
  for (const [name, preset] of PRESETS) {
    const config = parseConfig(preset.config, name);
    const transformer = countParameters(parameterShapes(config.transformer));
    const text = config.text_encoder ? countParameters(t5Shapes(config.text_encoder)) : 0;
    const all = transformer + text + countParameters(vaeShapes(config.vae));
    const sizes = preset.file === null
      ? ["not published"]
      : [4, 2].map((n) => formatBytes(n * all));
    const millions = `${(transformer / 1e6).toFixed(0)} M`;
    io.out(row([name.replace("infinity-", ""), millions, preset.vae, ...sizes]));
  }
  io.out("");
  io.out(
    "Sizes are of the model folder, with the VAE and the text encoder. The download is larger than",
  );
  io.out(`AS F32: ${TEXT_ENCODER.repository} comes with its decoder (once for all models).`);
}
