import { resolve } from "../deps/@std/path.ts";
import { drawnSeed, help, jsonSeed, parseFlags, type Spec, UsageError } from "./flags/flags.ts";
import { FLAGS, type Given } from "./flags/generate_flags.ts";
import { implementation } from "./flags/gpu.ts";
import { type Io, orAbort } from "./io/io.ts";
import { folderConfig, folderType, presetConfig } from "./io/model.ts";
import { checkWritable, outputPaths } from "./io/output.ts";
import { Previews } from "./io/previews.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import type { InfinityModel } from "../model/infinity.ts";
import type { EditOptions } from "../model/generate/editing.ts";
import type { Result } from "../model/generate/images.ts";
import type { GenerateOptions } from "../model/generate/options.ts";
import type { SamplingOptions } from "../model/generate/plan.ts";

const SPEC = {
  name: "generate",
  summary: "Draws images from a prompt.",
  words: "[PROMPT]",
  flags: FLAGS,
  notes: [
    "What is not given comes from the model's config.json. Lists have a value per scale.",
    'Example: bitwise generate "red apple" --seed 7 -o apple.png',
  ],
} satisfies Spec;

/** Flags that say the same thing in two ways. */
const EXCLUSIVE = [
  ["negative-prompt", "negative-features"],
  ["schedule", "width"],
  ["schedule", "height"],
  ["strength", "keep-scales"],
  ["init-img", "force-bits"],
] as const;

/** Flags that mean nothing without an image to start from. */
const EDITING = ["mask", "strength", "keep-scales"] as const;

/** More images than fit any memory: a mistyped number is told so at once. */
const MAX_BATCH = 9999;

/** What is known before the model is loaded. */
interface Request {
  readonly prompts: readonly string[];
  readonly output: string;
  readonly files: readonly string[];
  readonly options: Awaited<ReturnType<typeof readOptions>> & { readonly edit: EditOptions };
  readonly previews: Previews | null;
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
  const { readBits, readFeatures, readUniforms } = await import("./io/tensor_files.ts");
  const read = <T>(file: string | undefined, reader: (path: string) => Promise<T>) =>
    file === undefined ? undefined : reader(file);
  return {
    textFeatures: await read(given["text-features"], readFeatures),
    negativeFeatures: await read(given["negative-features"], readFeatures),
    uniforms: await read(given["sampler-uniforms"], readUniforms),
    forceBits: await read(given["force-bits"], readBits),
  };
}

/** The image to edit, and what of it may change. */
async function readEdit(given: Given): Promise<EditOptions> {
  const { "init-img": path, mask, strength, "keep-scales": keepScales } = given;
  if (path === undefined) {
    const alone = EDITING.find((name) => given[name] !== undefined);
    if (alone) throw new UsageError(`Cannot use --${alone} alone: give an image with --init-img`);
    return {};
  }
  const { readInput, readImageFile } = await import("./io/images.ts");
  return {
    init: await readInput(path),
    ...mask !== undefined && { mask: await readImageFile(mask) },
    strength,
    keepScales,
  };
}

/** Refuses all that can be refused without the model, in the order of what costs least. */
async function prepare(given: Given, words: readonly string[], io: Io): Promise<Request> {
  const prompts = promptsOf(given, words);
  for (const [one, other] of EXCLUSIVE) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw new UsageError(`Cannot use --${one} and --${other} together: give one of them`);
  }
  const { output = "output.png", trace, "batch-count": batchCount = 1 } = given;
  if (batchCount < 1 || batchCount > MAX_BATCH) {
    throw new UsageError(
      `Cannot make ${batchCount} images: --batch-count must be 1 to ${MAX_BATCH}`,
    );
  }
  const options = { ...await readOptions(given), edit: await readEdit(given) };
  const count = (options.textFeatures?.lens.length ?? prompts.length) * batchCount;
  if (output === "-") {
    if (given.json) throw new UsageError("Cannot use --json with -o -: both are stdout");
    if (count > 1) throw new UsageError(`Cannot write ${count} images to stdout: use --output`);
    if (io.outIsTerminal) {
      throw new UsageError("Cannot write a PNG to a terminal: redirect it, or use --output");
    }
  }
  const files = output === "-" ? [] : outputPaths(output, count);
  for (const file of files) await checkWritable(file);
  const previews = await Previews.open(given.preview, given.animate, count, io);
  const written = new Set(files.map((file) => resolve(file)));
  for (const file of [...trace === undefined ? [] : [trace], ...previews?.animations ?? []]) {
    await checkWritable(file);
    if (written.has(resolve(file))) {
      throw new UsageError(`Cannot write "${file}" twice: give each file a name of its own`);
    }
    written.add(resolve(file));
  }
  return { prompts, output, files, options, previews };
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
  const edit = given["init-img"] !== undefined;
  const options = { ...sampling, type, edit, prompts: Math.max(1, prompts) };
  return (await fitMemory(await configOf(given), options, limit)).staged;
}

/** Checks what files give against what will be drawn. @throws {InputError} if it does not fit. */
async function checkFiles(
  given: Given,
  sampling: SamplingOptions,
  { options, prompts }: Request,
): Promise<void> {
  const { uniforms, forceBits, textFeatures, edit } = options;
  if (edit.init) {
    const { planEdit } = await import("../model/generate/editing.ts");
    await planEdit(await configOf(given), { ...sampling, ...edit });
  }
  if (!uniforms && !forceBits) return;
  const { makePlan } = await import("../model/generate/plan.ts");
  const { checkScales } = await import("./io/tensor_files.ts");
  const config = await configOf(given);
  const plan = makePlan(config, sampling, textFeatures?.lens.length ?? prompts.length);
  for (const scales of [uniforms, forceBits]) {
    if (scales) checkScales(scales, plan.schedule, plan.images, config.transformer.d_vae);
  }
}

async function load(given: Given, staged: boolean, progress: ProgressLine) {
  const { InfinityModel } = await import("../model/infinity.ts");
  const options = {
    gpu: await implementation(given.gpu),
    type: given.type,
    staged,
    onProgress: (what: string) => progress.show(`Loading ${what}`),
  };
  if (given.synthetic === undefined) return await InfinityModel.load(given.model, options);
  return await InfinityModel.synthetic(await configOf(given), options);
}

/** Draws, and hands each scale to who wants to see it. */
async function drawn(
  model: InfinityModel,
  options: GenerateOptions,
  previews: Previews | null,
  { signal }: Io,
): Promise<Result> {
  if (!previews) return await orAbort(signal, model.generate(options));
  const steps = model.stream({ ...options, preview: true });
  let next = await orAbort(signal, steps.next());
  // a write is not left alone: it clears away what it has begun
  for (; !next.done; next = await orAbort(signal, steps.next())) await previews.show(next.value);
  await previews.finish(next.value.images);
  return next.value;
}

/** `bitwise generate`: prompts to PNG files. */
export async function generate(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  return await draw(given, words, io);
}

/** What `generate` does with its flags. */
export async function draw(given: Given, words: readonly string[], io: Io): Promise<number> {
  const request = await prepare(given, words, io);
  const { prompts, output, files, options, previews } = request;

  const began = performance.now();
  using progress = new ProgressLine(io);
  const sampling = {
    batchCount: given["batch-count"],
    seed: drawnSeed(given.seed),
    cfgScale: given["cfg-scale"],
    cfgUntil: given["cfg-until"],
    fast: given.fast,
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
  const { textFeatures, negativeFeatures, uniforms, forceBits, edit } = options;
  const result = await drawn(
    model,
    {
      textFeatures,
      negativeFeatures,
      uniforms: uniforms?.values,
      forceBits: forceBits?.values,
      ...textFeatures ? {} : { prompt: prompts },
      negativePrompt: given["negative-prompt"],
      ...sampling,
      ...edit,
      signal: io.signal,
      onProgress: ({ stage, scale, scales, height, width, seconds: at }) =>
        progress.show(
          stage === "decode"
            ? `Decoded ${width}x${height} pixels, ${seconds(at)}`
            : `Scale ${scale + 1}/${scales}: ${height}x${width} tokens, ${seconds(at)}`,
        ),
    },
    previews,
    io,
  );
  const { images, seconds: took, trace, warnings } = result;
  // a Ctrl-C during the last wait for the GPU is delivered by the event loop's next turn
  await new Promise((resolve) => setTimeout(resolve, 0));
  io.signal.throwIfAborted();
  progress[Symbol.dispose]();
  for (const warning of warnings) io.err(`warning: ${warning}\n`);

  if (given.trace !== undefined) await writeTrace(given.trace, trace, io);
  if (output === "-") io.outBytes(images[0]!.toPng());
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  for (const [i, file] of files.entries()) {
    await writeFileAtomic(file, images[i]!.toPng(), { signal: io.signal });
    if (!given.json) io.out(file);
  }
  if (given.json) {
    const report = {
      images: images.map(({ width, height, prompt, seed, parameters }, i) => ({
        path: files[i],
        prompt,
        seed: jsonSeed(seed),
        width,
        height,
        parameters,
      })),
      trace: given.trace,
      previews: previews?.files,
      animations: previews?.animations,
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
  trace: Parameters<typeof import("../engine/mod.ts").encodeSafetensors>[0],
  { signal }: Io,
): Promise<void> {
  const { encodeSafetensors } = await import("../engine/mod.ts");
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  await writeFileAtomic(path, encodeSafetensors(trace), { signal });
}
