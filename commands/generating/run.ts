import { type Batch, batchesOf, batchSize } from "./batches.ts";
import { prepare, type Request } from "./request.ts";
import type { Given } from "../flags/generate_flags.ts";
import { jsonSeed } from "../flags/types.ts";
import { enlarge } from "../io/enlarge.ts";
import type { Input } from "../io/images.ts";
import { detail, type Io, note, orAbort, warn } from "../io/io.ts";
import { closeModel, loadModel } from "../io/model.ts";
import { ProgressLine, seconds } from "../io/progress.ts";
import { formatBytes } from "../../engine/mod.ts";
import { scheduleText } from "../../model/config/grid.ts";
import type { Result } from "../../model/generate/images.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import type { Progress } from "../../model/generate/progress.ts";
import { encodePng } from "../../model/image/png.ts";
import type { InfinityModel } from "../../model/infinity.ts";

/** The share of a batch's time that is expected for the VAE. */
const DECODING = 0.15;

/** What is told of an image that was written. */
interface Written {
  readonly path?: string;
  readonly prompt?: string;
  readonly seed: number | string;
  readonly width: number;
  readonly height: number;
  readonly parameters: string;
}

/** What is known of a run, so far. */
interface Run {
  readonly images: Written[];
  readonly warnings: Set<string>;
  readonly took: { text: number; images: number; total: number };
}

/**
 * Generates the images that flags describe, and writes them as they are finished.
 *
 * @param init An image that was read already, in place of `--init-img`.
 */
export async function generateImages(
  given: Given,
  words: readonly string[],
  io: Io,
  init?: Input,
): Promise<number> {
  const request = await prepare(given, words, io, init);
  const began = performance.now();
  using progress = new ProgressLine(io);
  const { choice, staged } = request;
  const load = { type: given.type, gpu: given.gpu, staged };
  const model = await loadModel(choice, load, io, progress);
  const loaded = (performance.now() - began) / 1000;
  const batches = await planBatches(request, model);
  tellSettings(request, batches, io, progress);
  const run: Run = {
    images: [],
    warnings: new Set(),
    took: { text: 0, images: 0, total: 0 },
  };
  try {
    for (const batch of batches) await runBatch(request, model, batch, run, io, progress);
  } catch (error) {
    progress[Symbol.dispose]();
    tellRest(request, run, io);
    throw error;
  }
  progress[Symbol.dispose]();
  report(request, model, run, loaded, io);
  await closeModel(model, io);
  return 0;
}

/** Splits the images into batches; files that hold values of all images need one batch. */
async function planBatches(request: Request, model: InfinityModel): Promise<Batch[]> {
  const { given, choice, prompts, batchCount, count, sampling, edit, staged, tensors } = request;
  const { textFeatures, negativeFeatures, uniforms, forceBits } = tensors;
  if (textFeatures || negativeFeatures || uniforms || forceBits || request.trace) {
    const texts = textFeatures?.lens.length ?? prompts.length;
    return batchesOf(texts, batchCount, count);
  }
  const size = await batchSize(choice, model, sampling, {
    images: count,
    edit: edit.init !== undefined,
    staged,
    maxBytes: given["max-vram"],
  });
  return batchesOf(prompts.length, batchCount, size);
}

/** Generates one batch, and writes its images. */
async function runBatch(
  request: Request,
  model: InfinityModel,
  batch: Batch,
  run: Run,
  io: Io,
  progress: ProgressLine,
): Promise<void> {
  const result = await resultOf(request, model, batch, io, progress);
  // a Ctrl-C during the last wait for the GPU arrives in the event loop's next turn
  await new Promise((resolve) => setTimeout(resolve, 0));
  io.signal.throwIfAborted();
  for (const warning of result.warnings) {
    if (run.warnings.has(warning)) continue;
    run.warnings.add(warning);
    progress[Symbol.dispose]();
    warn(io, warning);
  }
  run.took.text += result.seconds.text;
  run.took.images += result.seconds.images;
  run.took.total += result.seconds.total;
  const { output, trace } = request;
  if (trace) {
    const { encodeSafetensors } = await import("../../engine/mod.ts");
    await output.write(trace, encodeSafetensors(result.trace));
  }
  progress[Symbol.dispose]();
  await writeImages(request, result, batch, run);
}

async function writeImages(
  { given, output, targets }: Request,
  { images }: Result,
  { first }: Batch,
  run: Run,
): Promise<void> {
  const { upscale = 1, "disable-image-metadata": bare = false, json } = given;
  for (const [i, image] of images.entries()) {
    const { prompt, seed, parameters } = image;
    const { width, height, rgba } = enlarge(image, upscale);
    const png = encodePng(rgba, width, height, bare ? {} : { parameters });
    const path = await output.write(targets[first + i]!, png);
    if (!json) output.print(path);
    run.images.push({ path, prompt, seed: jsonSeed(seed), width, height, parameters });
  }
}

/** Generates one batch, and passes each scale to the previews. */
async function resultOf(
  request: Request,
  model: InfinityModel,
  batch: Batch,
  io: Io,
  progress: ProgressLine,
): Promise<Result> {
  const { signal } = io;
  const options = optionsOf(
    request,
    batch,
    io,
    (part) => showProgress(request, batch, part, progress),
  );
  const { previews } = request;
  if (!previews) return await orAbort(signal, model.generate(options));
  const steps = model.stream({ ...options, preview: true });
  let next = await orAbort(signal, steps.next());
  // a write is waited for: it removes what it has begun
  for (; !next.done; next = await orAbort(signal, steps.next())) {
    await previews.show(next.value, batch.first);
  }
  await previews.finish(next.value.images, batch.first);
  return next.value;
}

function optionsOf(
  { prompts, negativePrompt, tensors, sampling, edit, seed }: Request,
  { firstPrompt, prompts: count, batchCount, first }: Batch,
  { signal }: Io,
  onProgress: (progress: Progress) => void,
): GenerateOptions {
  const { textFeatures, negativeFeatures, uniforms, forceBits } = tensors;
  return {
    textFeatures,
    negativeFeatures,
    uniforms: uniforms?.values,
    forceBits: forceBits?.values,
    ...textFeatures ? {} : { prompt: prompts.slice(firstPrompt, firstPrompt + count) },
    negativePrompt,
    ...sampling,
    ...edit,
    batchCount,
    seed: BigInt.asUintN(64, seed + BigInt(first)),
    signal,
    onProgress,
  };
}

/** Shows how far a batch is, and with it the run; a scale's time goes with its tokens. */
function showProgress(
  { plan: { schedule }, count }: Request,
  { first, images }: Batch,
  { stage, scale, scales, height, width, seconds: at }: Progress,
  progress: ProgressLine,
): void {
  const tokens = schedule.map(([h, w]) => h * w);
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const done = stage === "decode"
    ? 1
    : (1 - DECODING) * sum(tokens.slice(0, scale + 1)) / sum(tokens);
  const what = stage === "decode"
    ? `Decoded ${width}x${height} pixels, ${seconds(at)}`
    : `Scale ${scale + 1}/${scales}: ${height}x${width} tokens, ${seconds(at)}`;
  const several = images < count
    ? `Images ${first + 1} to ${first + images} of ${count}: ${what}`
    : what;
  progress.show(several, (first + images * done) / count);
}

/** Prints what `-v` asks for, before the first image. */
function tellSettings(request: Request, batches: readonly Batch[], io: Io, progress: ProgressLine) {
  const { plan, seed, count } = request;
  if (!io.style.verbose) return;
  progress[Symbol.dispose]();
  const list = (values: readonly number[]) =>
    values.every((value) => value === values[0]) ? `${values[0]}` : values.join(",");
  detail(io, `Schedule ${scheduleText(plan.schedule)}`);
  detail(io, `Guidance ${list(plan.cfg)}, temperature ${list(plan.tau)}, seed ${seed}`);
  if (batches.length > 1) {
    detail(io, `${count} images in ${batches.length} batches of at most ${batches[0]!.images}`);
  }
}

/** After Ctrl-C or an error: says what is kept, and how to go on. */
function tellRest({ count, seed, prompts, given }: Request, { images }: Run, io: Io): void {
  const { length: done } = images;
  if (done === 0) return;
  const begin = (given["output-begin-idx"] ?? 1) + done;
  const goOn = prompts.length === 1
    ? `; go on with -s ${BigInt.asUintN(64, seed + BigInt(done))} -b ${count - done} ` +
      `--output-begin-idx ${begin}`
    : "";
  note(io, `${done} of ${count} images are written${goOn}`);
}

function report(
  { given, trace, previews }: Request,
  model: InfinityModel,
  { images, warnings, took }: Run,
  loaded: number,
  io: Io,
): void {
  const { adapter } = model.device.capabilities;
  const { peakBytes } = model.device.memory;
  if (given.json) {
    io.out(JSON.stringify({
      images,
      trace: trace?.path,
      previews: previews?.files,
      animations: previews?.animations,
      model: model.config.name,
      adapter,
      peakBytes,
      seconds: { load: loaded, ...took },
      warnings: [...warnings],
    }));
    return;
  }
  detail(
    io,
    `Text ${seconds(took.text)}, images ${seconds(took.images)}, peak ${formatBytes(peakBytes)}`,
  );
  note(io, `${seconds(took.total)} on ${adapter}, loaded in ${seconds(loaded)}`);
}
