import { WEIGHT_TYPES } from "../kernels/linear.ts";
import { resolve } from "@std/path";
import type { SamplingOptions } from "../model/plan.ts";
import { parseSchedule } from "../model/schedule.ts";
import {
  bytes,
  type FlagType,
  help,
  number,
  numbers,
  on,
  oneOf,
  parseFlags,
  path,
  seed,
  type Spec,
  text,
  UsageError,
  type Values,
  whole,
} from "./flags.ts";
import { type Io, orAbort } from "./io.ts";
import { folderConfig, folderType, presetConfig } from "./model.ts";
import { checkWritable, outputPaths } from "./output.ts";
import { ProgressLine, seconds } from "./progress.ts";

const schedule: FlagType<ReturnType<typeof parseSchedule>> = {
  value: "HxW,…",
  need: "token grids, such as 1x1,2x2,4x4",
  read: parseSchedule,
};

/** For the help, once pictures can be edited. */
const EDITING = "Picture to edit, and where";

/** Flags of `generate`, in stable-diffusion.cpp's words where it has them. */
export const FLAGS = {
  "prompt": { alias: "p", type: text, many: true, help: "What to draw; repeat it for more" },
  "negative-prompt": { alias: "n", type: text, help: "What to keep away from" },
  "output": {
    alias: "o",
    type: path,
    help: "PNG to write, numbered if there are several; - is stdout (output.png)",
  },
  "seed": { alias: "s", type: seed, help: "Seed of the first picture, -1 for a random one" },
  "batch-count": { alias: "b", type: whole, help: "Pictures per prompt, seeds counting up (1)" },
  "width": { alias: "W", type: whole, help: "Pixels across, with --height" },
  "height": { alias: "H", type: whole, help: "Pixels down, with --width" },
  "schedule": { type: schedule, help: "Token grids of the scales, in place of a size" },
  "cfg-scale": { type: numbers, help: "Guidance; 1 is none" },
  "tau": { type: numbers, help: "Temperature" },
  "top-k": { type: whole, help: "1 takes the likelier value of each bit; 0 is off" },
  "top-p": { type: number, help: "Drops a bit's value of probability 1 - N or less; 0 is off" },
  "cfg-insertion-layer": { type: whole, help: "0 guides the logits, -K the K-th last block" },
  "greedy": { type: on, help: "Take the likelier value of each bit" },
  "model": { alias: "m", type: { ...path, value: "DIR" }, help: "Model folder (emoji-nano)" },
  "synthetic": {
    type: { ...text, value: "PRESET" },
    help: "Random weights of that size, no files",
  },
  "type": {
    type: oneOf(...WEIGHT_TYPES),
    help: "Storage of weights and cache (f32, or as quantised)",
  },
  "max-vram": { type: bytes, help: "Keep only the part in memory that works, if all do not fit" },
  "text-features": { type: path, help: "features [rows, C] and lens [B] in place of prompts" },
  "negative-features": { type: path, help: "The same in place of a negative prompt" },
  "sampler-uniforms": { type: path, help: "scale{i}.uniforms [B, h, w, d] to draw bits with" },
  "force-bits": { type: path, help: "scale{i}.bits [B, h, w, d] to take as they are" },
  "trace": { type: path, help: "Write logits, bits, codes and pictures as safetensors" },
  "json": { type: on, help: "Print one JSON object" },
  "init-img": { alias: "i", type: path, hidden: true, help: EDITING },
  "mask": { type: path, hidden: true, help: EDITING },
} as const;

const SPEC = {
  name: "generate",
  summary: "Draws pictures from a prompt.",
  words: "[PROMPT]",
  flags: FLAGS,
  notes: [
    "What is not given comes from the model's config.json. Lists have a value per scale.",
    'Example: bitwise generate "red apple" --seed 7 -o apple.png',
  ],
} satisfies Spec;

type Given = Values<typeof FLAGS>;

/** Flags that say the same thing in two ways. */
const EXCLUSIVE = [
  ["negative-prompt", "negative-features"],
  ["schedule", "width"],
  ["schedule", "height"],
] as const;

/** More pictures than fit any memory: a mistyped number is told so at once. */
const MAX_BATCH = 9999;

/** What is known before the model is loaded. */
interface Request {
  readonly prompts: readonly string[];
  readonly output: string;
  readonly files: readonly string[];
  readonly options: Awaited<ReturnType<typeof readOptions>>;
}

function promptsOf(given: Given, words: readonly string[]): string[] {
  const prompts = [...given.prompt ?? [], ...words.length ? [words.join(" ")] : []];
  if (given["text-features"] !== undefined) {
    if (prompts.length === 0) return prompts;
    throw new UsageError("Cannot use a prompt and --text-features together: give one of them");
  }
  if (given.prompt && words.length) {
    throw new UsageError(
      `Cannot use both --prompt and "${words[0]}": quote a prompt of many words`,
    );
  }
  if (prompts.length > 0 && prompts.every((prompt) => prompt.trim())) return prompts;
  throw new UsageError('Cannot draw an empty prompt: say what to draw, such as "red apple"');
}

async function readOptions(given: Given) {
  const { readBits, readFeatures, readUniforms } = await import("./tensor_files.ts");
  const read = <T>(file: string | undefined, reader: (path: string) => Promise<T>) =>
    file === undefined ? undefined : reader(file);
  return {
    textFeatures: await read(given["text-features"], readFeatures),
    negativeFeatures: await read(given["negative-features"], readFeatures),
    uniforms: await read(given["sampler-uniforms"], readUniforms),
    forceBits: await read(given["force-bits"], readBits),
  };
}

/** Refuses all that can be refused without the model, in the order of what costs least. */
async function prepare(given: Given, words: readonly string[], io: Io): Promise<Request> {
  for (const name of ["init-img", "mask"] as const) {
    if (given[name] === undefined) continue;
    throw new UsageError(`Cannot use --${name}: this version cannot edit pictures yet`);
  }
  const prompts = promptsOf(given, words);
  for (const [one, other] of EXCLUSIVE) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw new UsageError(`Cannot use --${one} and --${other} together: give one of them`);
  }
  const { output = "output.png", trace, "batch-count": batchCount = 1 } = given;
  if (batchCount < 1 || batchCount > MAX_BATCH) {
    throw new UsageError(
      `Cannot make ${batchCount} pictures: --batch-count must be 1 to ${MAX_BATCH}`,
    );
  }
  const options = await readOptions(given);
  const count = (options.textFeatures?.lens.length ?? prompts.length) * batchCount;
  if (output === "-") {
    if (given.json) throw new UsageError("Cannot use --json with -o -: both are stdout");
    if (count > 1) throw new UsageError(`Cannot write ${count} pictures to stdout: use --output`);
    if (io.outIsTerminal) {
      throw new UsageError("Cannot write a PNG to a terminal: redirect it, or use --output");
    }
  }
  const files = output === "-" ? [] : outputPaths(output, count);
  for (const file of files) await checkWritable(file);
  if (trace !== undefined) {
    await checkWritable(trace);
    if (files.some((file) => resolve(file) === resolve(trace))) {
      throw new UsageError(`Cannot write "${trace}" as a picture and a trace: give two names`);
    }
  }
  return { prompts, output, files, options };
}

/** The config of the model that is asked for. @throws {UsageError} for an unknown preset, or a preset and a folder. */
async function configOf(given: Given) {
  if (given.synthetic === undefined) return await folderConfig(given.model);
  if (given.model !== undefined) {
    throw new UsageError("Cannot use --model and --synthetic together: give one of them");
  }
  return await presetConfig(given.synthetic);
}

/** Whether the parts of the model must take turns in `--max-vram`. @throws {OutOfMemoryError} if even that is too much. */
async function mustStage(given: Given, sampling: SamplingOptions, prompts: number) {
  const limit = given["max-vram"];
  if (limit === undefined) return false;
  const { fitMemory } = await import("../model/memory_plan.ts");
  const stored = given.synthetic === undefined ? await folderType(given.model) : undefined;
  const type = given.type ?? stored;
  const options = { ...sampling, type, prompts: Math.max(1, prompts) };
  return (await fitMemory(await configOf(given), options, limit)).staged;
}

/** Checks what files give for each scale against what will be drawn. @throws {InputError} if a shape differs. */
async function checkFiles(
  given: Given,
  sampling: SamplingOptions,
  { options, prompts }: Request,
): Promise<void> {
  const { uniforms, forceBits, textFeatures } = options;
  if (!uniforms && !forceBits) return;
  const { makePlan } = await import("../model/plan.ts");
  const { checkScales } = await import("./tensor_files.ts");
  const config = await configOf(given);
  const plan = makePlan(config, sampling, textFeatures?.lens.length ?? prompts.length);
  for (const scales of [uniforms, forceBits]) {
    if (scales) checkScales(scales, plan.schedule, plan.images, config.transformer.d_vae);
  }
}

async function load(given: Given, staged: boolean, progress: ProgressLine) {
  const { InfinityModel } = await import("../model/infinity.ts");
  const options = {
    type: given.type,
    staged,
    onProgress: (what: string) => progress.show(`Loading ${what}`),
  };
  if (given.synthetic === undefined) return await InfinityModel.load(given.model, options);
  return await InfinityModel.synthetic(await configOf(given), options);
}

/** `bitwise generate`: prompts to PNG files. */
export async function generate(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const request = await prepare(given, words, io);
  const { prompts, output, files, options } = request;

  const began = performance.now();
  using progress = new ProgressLine(io);
  const sampling = {
    batchCount: given["batch-count"],
    seed: given.seed === -1n ? crypto.getRandomValues(new Uint32Array(1))[0] : given.seed,
    cfg: given["cfg-scale"],
    tau: given.tau,
    topK: given["top-k"],
    topP: given["top-p"],
    greedy: given.greedy,
    cfgInsertionLayer: given["cfg-insertion-layer"],
    schedule: given.schedule,
    width: given.width,
    height: given.height,
    trace: given.trace !== undefined,
  };
  await checkFiles(given, sampling, request);
  const staged = await mustStage(given, sampling, prompts.length);
  const model = await orAbort(io.signal, load(given, staged, progress));
  const loaded = performance.now();
  const { adapter } = model.device.capabilities;
  const { images, seconds: took, trace, warnings } = await orAbort(
    io.signal,
    model.generate({
      ...options,
      uniforms: options.uniforms?.values,
      forceBits: options.forceBits?.values,
      ...options.textFeatures ? {} : { prompt: prompts },
      negativePrompt: given["negative-prompt"],
      ...sampling,
      signal: io.signal,
      onProgress: ({ stage, scale, scales, height, width, seconds: at }) =>
        progress.show(
          stage === "decode"
            ? `Decoded ${width}x${height} pixels, ${seconds(at)}`
            : `Scale ${scale + 1}/${scales}: ${height}x${width} tokens, ${seconds(at)}`,
        ),
    }),
  );
  // a Ctrl-C during the last wait for the GPU is delivered by the event loop's next turn
  await new Promise((resolve) => setTimeout(resolve, 0));
  io.signal.throwIfAborted();
  progress[Symbol.dispose]();
  for (const warning of warnings) io.err(`warning: ${warning}\n`);

  if (given.trace !== undefined) await writeTrace(given.trace, trace, io);
  if (output === "-") io.outBytes(images[0]!.toPng());
  const { writeFileAtomic } = await import("../model/files.ts");
  for (const [i, file] of files.entries()) {
    await writeFileAtomic(file, images[i]!.toPng(), { signal: io.signal });
    if (!given.json) io.out(file);
  }
  if (given.json) {
    const report = {
      images: images.map(({ width, height, prompt, seed, parameters }, i) => ({
        path: files[i],
        prompt,
        // what a JSON number cannot hold is a string
        seed: seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : `${seed}`,
        width,
        height,
        parameters,
      })),
      trace: given.trace,
      model: model.config.name,
      adapter,
      peakBytes: model.device.memory.peakBytes,
      seconds: { load: (loaded - began) / 1000, ...took },
      warnings,
    };
    io.out(JSON.stringify(report));
  } else {
    io.err(`${seconds(took.total)} on ${adapter}, loaded in ${seconds((loaded - began) / 1000)}\n`);
  }
  model.dispose();
  return 0;
}

async function writeTrace(
  path: string,
  trace: Parameters<typeof import("../engine/safetensors_writer.ts").encodeSafetensors>[0],
  { signal }: Io,
): Promise<void> {
  const { encodeSafetensors } = await import("../engine/safetensors_writer.ts");
  const { writeFileAtomic } = await import("../model/files.ts");
  await writeFileAtomic(path, encodeSafetensors(trace), { signal });
}
