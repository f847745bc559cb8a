import { type Batch, batchesOf, batchSize } from "./batches.ts";
import { reportRest, reportRun, reportSettings, type Run, showProgress } from "./report.ts";
import { type AlreadyRead, generateOptions, prepare, type Request } from "./request.ts";
import type { Given } from "../flags/generate_flags.ts";
import { enlarge } from "../../model/image/enlarge.ts";
import { type Io, warn } from "../io/io.ts";
import { closeModel, loadModel } from "../io/model.ts";
import { ProgressLine } from "../io/progress.ts";
import type { Result } from "../../model/generate/images.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import type { Progress } from "../../model/generate/plan/progress.ts";
import { jsonSeed } from "../../model/generate/plan/seed.ts";
import { encodePng } from "../../model/image/png.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { orAbort } from "../../engine/mod.ts";

/** Generates the images that flags describe, and writes them as they are finished. */
export async function generateImages(
  given: Given,
  words: readonly string[],
  io: Io,
  read: AlreadyRead = {},
): Promise<number> {
  const request = await prepare(given, words, io, read);
  const began = performance.now();
  using progress = new ProgressLine(io);
  const { choice, staged } = request;
  const load = { type: given.type, gpu: given.gpu, staged, lora: given.lora };
  const model = await loadModel(choice, load, io, progress);
  const loaded = (performance.now() - began) / 1000;
  const batches = await planBatches(request, model);
  reportSettings(request, batches, io, progress);
  const run: Run = {
    images: [],
    warnings: new Set(),
    took: { text: 0, images: 0, total: 0 },
  };
  try {
    for (const batch of batches) await runBatch(request, model, batch, run, io, progress);
  } catch (error) {
    progress[Symbol.dispose]();
    reportRest(request, run, io);
    throw error;
  }
  progress[Symbol.dispose]();
  reportRun(request, model, run, loaded, io);
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
  request: Request,
  { firstPrompt, prompts: count, batchCount, first }: Batch,
  { signal }: Io,
  onProgress: (progress: Progress) => void,
): GenerateOptions {
  const options = generateOptions({
    ...request,
    prompts: request.prompts.slice(firstPrompt, firstPrompt + count),
    batchCount,
    seed: BigInt.asUintN(64, request.seed + BigInt(first)),
  });
  return { ...options, signal, onProgress };
}
