import { readNegativePrompt, readPrompts } from "./prompts.ts";
import { Previews } from "./previews.ts";
import { UsageError } from "../flags/flags.ts";
import type { Given } from "../flags/generate_flags.ts";
import { imageLimits } from "../flags/limits.ts";
import { chosenSeed } from "../flags/types.ts";
import { openImageFile, openInputFile } from "../io/images.ts";
import type { OpenInput } from "../../model/generate/images/open_input.ts";
import type { Io } from "../io/io.ts";
import { chooseFor, chooseModel, type ModelChoice } from "../io/model.ts";
import { Output, type Target } from "../io/output.ts";
import { checkScales, readBits, readFeatures, readUniforms } from "../io/tensor_files.ts";
import type { EditOptions, GenerationPlan } from "../../model/generate/editing.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import type { Plan, SamplingOptions } from "../../model/generate/plan/plan.ts";
import { surveyAdapter } from "../../engine/mod.ts";
import { planGeneration } from "../../model/generate/plan_generation.ts";

/** Flags that say the same thing in two ways, besides the options of which the library says so. */
const EXCLUSIVE = [
  ["negative-prompt", "negative-features"],
  ["negative-prompt", "negative-prompt-file"],
  ["negative-prompt-file", "negative-features"],
  ["strength", "keep-scales"],
  ["init-img", "force-bits"],
] as const;

/** Flags that mean nothing without an image to start from. */
const EDITING = ["mask", "strength", "keep-scales", "max-pixels"] as const;

/** The most images of a command: a mistyped number is refused at once. */
const MAX_IMAGES = 32_767;

/** What to generate. */
export interface What {
  readonly prompts: readonly string[];
  readonly negativePrompt?: string;
  /** Images of each prompt. */
  readonly batchCount: number;
  /** Seed of the first image. */
  readonly seed: bigint;
  readonly sampling: SamplingOptions;
  readonly edit: EditOptions;
  readonly tensors: Tensors;
}

/** All that is known, and checked, before the model is loaded. */
export interface Request extends What {
  readonly given: Given;
  readonly choice: ModelChoice;
  /** Number of images. */
  readonly count: number;
  /** All images, checked against the model's config. */
  readonly planned: GenerationPlan;
  /** Whether the parts of the model take turns in memory. */
  readonly staged: boolean;
  readonly output: Output;
  readonly targets: readonly Target[];
  readonly trace: Target | null;
  readonly previews: Previews | null;
}

type Tensors = Awaited<ReturnType<typeof readTensors>>;

/** What a command has read by itself. */
export interface AlreadyRead {
  /** The image to edit, in place of `--init-img`. */
  readonly init?: OpenInput;
  /** The prompt as it is, whatever it begins with, in place of flags and words. */
  readonly prompt?: string;
}

/** Checks everything that can be checked without the model, cheapest first. */
export async function prepare(
  given: Given,
  words: readonly string[],
  io: Io,
  { init, prompt }: AlreadyRead = {},
): Promise<Request> {
  const { "batch-count": batchCount = 1 } = given;
  checkFlags(given, init, batchCount);
  const prompts = prompt === undefined ? await readPrompts(given, words, io) : [prompt];
  const negativePrompt = await readNegativePrompt(given, io);
  const tensors = await readTensors(given);
  const edit = await readEdit(given, io, init);
  const texts = tensors.textFeatures?.lens.length ?? prompts.length;
  const count = texts * batchCount;
  if (count > MAX_IMAGES) {
    throw new UsageError(`Cannot generate ${count} images: at most ${MAX_IMAGES}`);
  }
  const output = new Output(io, given);
  const { output: name = "output.png", "output-begin-idx": begin, trace } = given;
  const targets = await output.choose(name, { count, begin });
  const previews = await Previews.open(given, count, output);
  const traced = trace === undefined ? null : await output.chooseOne(trace, { kind: "tensors" });
  const choice = await chooseModel(given, io);
  const sampling = samplingOf(given);
  const seed = chosenSeed(given.seed) ?? BigInt(choice.config.defaults.seed);
  const what = { prompts, negativePrompt, batchCount, seed, sampling, edit, tensors };
  const planned = await planGeneration(choice.config, generateOptions(what));
  checkTensors(choice, tensors, planned.plan);
  const staged = await mustStage(given, choice, sampling, edit);
  const files = { output, targets, trace: traced, previews };
  return { given, choice, count, planned, staged, ...what, ...files };
}

function checkFlags(given: Given, init: OpenInput | undefined, batchCount: number): void {
  for (const [one, other] of EXCLUSIVE) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw new UsageError(`Cannot use --${one} and --${other} together: give one of them`);
  }
  if (batchCount < 1 || batchCount > MAX_IMAGES) {
    throw new UsageError(
      `Cannot generate ${batchCount} images: --batch-count must be 1 to ${MAX_IMAGES}`,
    );
  }
  const alone = EDITING.find((name) => given[name] !== undefined);
  if (alone && !init && given["init-img"] === undefined) {
    throw new UsageError(`Cannot use --${alone} alone: give an image with --init-img`);
  }
}

async function readTensors(given: Given) {
  const read = <T>(file: string | undefined, reader: (path: string) => Promise<T>) =>
    file === undefined ? undefined : reader(file);
  return {
    textFeatures: await read(given["text-features"], readFeatures),
    negativeFeatures: await read(given["negative-features"], readFeatures),
    uniforms: await read(given["sampler-uniforms"], readUniforms),
    forceBits: await read(given["force-bits"], readBits),
  };
}

/** The image to edit, and which part of it may change. */
async function readEdit(given: Given, io: Io, init: OpenInput | undefined): Promise<EditOptions> {
  const { "init-img": path, mask, strength, "keep-scales": keepScales } = given;
  if (path === undefined && init === undefined) return {};
  const limits = imageLimits(given);
  return {
    init: init ?? await openInputFile(path!, io, limits),
    ...mask !== undefined && { mask: await openImageFile(mask, io, limits) },
    strength,
    keepScales,
  };
}

function samplingOf(given: Given): SamplingOptions {
  return {
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
}

/** Checks the shapes of files against the plan. @throws {InputError} They do not fit. */
function checkTensors(
  { config }: ModelChoice,
  { uniforms, forceBits }: Tensors,
  { schedule, images }: Plan,
): void {
  for (const scales of [uniforms, forceBits]) {
    if (scales) checkScales(scales, schedule, images, config.transformer.d_vae);
  }
}

/** Returns what to generate as options of the library. */
export function generateOptions(
  { prompts, negativePrompt, batchCount, seed, sampling, edit, tensors }: What,
): GenerateOptions {
  const { textFeatures, negativeFeatures, uniforms, forceBits } = tensors;
  return {
    ...textFeatures ? { textFeatures } : { prompt: prompts },
    negativePrompt,
    negativeFeatures,
    uniforms: uniforms?.values,
    forceBits: forceBits?.values,
    ...sampling,
    ...edit,
    batchCount,
    seed,
  };
}

/**
 * Whether the parts of the model must take turns within `--max-vram`.
 *
 * @throws {OutOfMemoryError} Even that is not enough for one image.
 */
async function mustStage(
  given: Given,
  { config, storedType }: ModelChoice,
  sampling: SamplingOptions,
  edit: EditOptions,
): Promise<boolean> {
  const limit = given["max-vram"];
  if (limit === undefined) return false;
  const { adapterOptions, fitMemory } = await import("../../model/memory_plan.ts");
  const type = given.type ?? storedType;
  const { gpu = navigator.gpu } = await chooseFor(given.gpu, type);
  const found = await surveyAdapter(gpu); // without one, loading says so
  const adapter = found && adapterOptions(found);
  const options = { ...sampling, ...adapter, type, edit: edit.init !== undefined };
  return (await fitMemory(config, options, limit)).staged;
}
