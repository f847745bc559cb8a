import type { Batch } from "./batches.ts";
import type { Request } from "./request.ts";
import { detail, type Io, note, outJson } from "../io/io.ts";
import { type ProgressLine, seconds } from "../io/progress.ts";
import { formatBytes } from "../../engine/mod.ts";
import { scheduleText } from "../../model/config/grid.ts";
import type { Progress } from "../../model/generate/plan/progress.ts";
import { RANDOM_SEED } from "../../model/generate/plan/seed.ts";
import type { InfinityModel } from "../../model/infinity.ts";

/** The share of a batch's time that is expected for the VAE. */
const DECODING = 0.15;

/** What is reported of an image that was written. */
export interface Written {
  readonly path?: string;
  readonly prompt?: string;
  readonly seed: number | string;
  readonly width: number;
  readonly height: number;
  readonly parameters: string;
}

/** What a run has done so far. */
export interface Run {
  readonly images: Written[];
  readonly warnings: Set<string>;
  readonly took: { text: number; images: number; total: number };
}

/** Shows how far a batch is, and with it the run; a scale's time goes with its tokens. */
export function showProgress(
  { planned: { plan: { schedule } }, count }: Request,
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

/** Prints a random seed, and what `-v` asks for, before the first image. */
export function reportSettings(
  request: Request,
  batches: readonly Batch[],
  io: Io,
  progress: ProgressLine,
): void {
  const { given, planned: { plan }, seed, count } = request;
  progress[Symbol.dispose]();
  if (!io.style.verbose) {
    if (given.seed === RANDOM_SEED) note(io, `Seed ${seed}`);
    return;
  }
  const list = (values: readonly number[]) =>
    values.every((value) => value === values[0]) ? `${values[0]}` : values.join(",");
  detail(io, `Schedule ${scheduleText(plan.schedule)}`);
  detail(io, `Guidance ${list(plan.cfg)}, temperature ${list(plan.tau)}, seed ${seed}`);
  if (batches.length > 1) {
    detail(io, `${count} images in ${batches.length} batches of at most ${batches[0]!.images}`);
  }
}

/** After Ctrl-C or an error: reports what is kept, and how to continue. */
export function reportRest(
  { count, seed, prompts, targets }: Request,
  { images }: Run,
  io: Io,
): void {
  const { length: done } = images;
  if (done === 0 || done === count) return;
  const next = BigInt.asUintN(64, seed + BigInt(done));
  const advice = prompts.length === 1
    ? `; continue with -s ${next} -b ${count - done} --output-begin-idx ${targets[done]!.number}`
    : "";
  note(io, `${done} of ${count} images were written${advice}`);
}

/** Prints what was generated: a JSON object, or a line of times. */
export function reportRun(
  { given, trace, previews }: Request,
  model: InfinityModel,
  { images, warnings, took }: Run,
  loaded: number,
  io: Io,
): void {
  const { adapter } = model.device.capabilities;
  const { peakBytes } = model.device.memory;
  if (given.json) {
    outJson(io, {
      images,
      trace: trace?.path,
      previews: previews?.files,
      animations: previews?.animations,
      model: model.config.name,
      adapter,
      peakBytes,
      seconds: { load: loaded, ...took },
      warnings: [...warnings],
    });
    return;
  }
  detail(
    io,
    `Text ${seconds(took.text)}, images ${seconds(took.images)}, peak ${formatBytes(peakBytes)}`,
  );
  note(io, `${seconds(took.total)} on ${adapter}, loaded in ${seconds(loaded)}`);
}
