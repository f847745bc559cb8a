import { overridden, type Overrides } from "./stages.ts";
import { progressOf } from "./progress.ts";
import { chooseGpu, implementation } from "../../model/parts/choose_gpu.ts";
import { UsageError } from "../flags/flags.ts";
import { type Io, note, outJson, warn } from "../io/io.ts";
import { duration, inSteps, ProgressLine } from "../io/progress.ts";
import type { Stage, TrainConfig, TrainingResult } from "../../model/training/mod.ts";

/** The flags of commands that train. */
export interface TrainGiven extends Overrides {
  readonly output?: string;
  readonly resume?: boolean;
  readonly "any-config"?: boolean;
  readonly gpu?: "wgpu" | "dawn";
  readonly json?: boolean;
}

/** What trains: the library, or what a test has in its place. */
export type Training = Pick<
  typeof import("../../model/training/mod.ts"),
  "checkStages" | "train"
>;

/** Returns the folder of the model. @throws {UsageError} There is none. */
export function outputOf({ output }: TrainGiven): string {
  if (output !== undefined) return output;
  throw new UsageError("Cannot train: name the folder of the model with --output");
}

/** Trains stages one after the other, and reports what was made. */
export async function runStages(
  config: TrainConfig,
  stages: readonly Stage[],
  given: TrainGiven,
  io: Io,
  { checkStages, train }: Training,
): Promise<number> {
  const output = outputOf(given);
  const settings = overridden(config, stages, given);
  const { resume, "any-config": anyConfig } = given;
  // what is computed in f32 is not for tensor cores
  const type = stages.some((stage) => settings[stage].dtype === "f16") ? "f16" : "f32";
  const gpu = given.gpu ? await implementation(given.gpu) : (await chooseGpu(type)).gpu;
  using line = new ProgressLine(io);
  const made: TrainingResult[] = [];
  const begun = await checkStages(settings, stages, { output, resume, gpu });
  for (const [i, stage] of stages.entries()) {
    line.show(`Preparing the ${stage}`);
    const result = await train(settings, stage, {
      output,
      gpu,
      resume: begun[i],
      anyConfig,
      signal: io.signal,
      onPrepare: inSteps(io, (part) => {
        const percent = Math.round(100 * part);
        line.show(`Preparing the ${stage}: ${percent} % of captions encoded`, part);
      }),
      onProgress: progressOf(io, line),
      onSamples: (path) => say(io, line, `samples: ${path}`),
      onWarning: (text) => {
        line[Symbol.dispose]();
        warn(io, text);
      },
    });
    made.push(result);
    line[Symbol.dispose]();
    if (given.json) continue;
    for (const path of result.files) io.out(path);
    note(io, summary(result));
  }
  if (given.json) outJson(io, { output, stages: made });
  return 0;
}

/** Prints a line above that of progress, with `-v`. */
function say(io: Io, line: ProgressLine, text: string): void {
  if (!io.style.verbose) return;
  line[Symbol.dispose]();
  io.err(`${text}\n`);
}

function summary({ stage, step, loss, seconds, adapter }: TrainingResult): string {
  const end = loss === null ? "" : `, loss ${Number(loss.toPrecision(4))}`;
  return `${stage}: ${step} steps in ${duration(seconds)}${end}, on ${adapter}`;
}
