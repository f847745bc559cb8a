import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { UsageError } from "../../../commands/flags/flags.ts";
import { ProgressLine } from "../../../commands/io/progress.ts";
import { brief, progressOf, progressText } from "../../../commands/training/progress.ts";
import { runStages } from "../../../commands/training/run.ts";
import { overridden, STAGES, stagesOf } from "../../../commands/training/stages.ts";
import { CheckpointError, InputError } from "../../../engine/mod.ts";
import {
  checkStages,
  readTrainConfig,
  type Stage,
  type TrainConfig,
  type TrainingOptions,
  type TrainingProgress,
} from "../../../model/training/mod.ts";
import { fakeIo } from "../fake_io.ts";
import { inFolder } from "../process.ts";

const example = (name: string) =>
  readTrainConfig(
    fromFileUrl(new URL(`../../../examples/training/${name}.json`, import.meta.url)),
  );
const nano = await example("emoji-nano");
const scenes = await example("emoji-scenes");

const progress = (step: number, more: Partial<TrainingProgress> = {}): TrainingProgress => ({
  report: {
    stage: "transformer",
    step,
    loss: 0.123456,
    seconds: 90,
    learning_rate: 1e-3,
    bit_accuracy: [1, 0.9876],
    images_per_second: 812.4,
    tokens_per_second: 24_372,
  },
  part: step / 100,
  steps: 100,
  secondsLeft: 100 - step,
  ...more,
});

Deno.test("stagesOf() reads a stage, or all", () => {
  assertEquals(stagesOf("all"), ["tokenizer", "transformer", "decoder"]);
  assertEquals(stagesOf("decoder"), ["decoder"]);
  for (const word of [undefined, "vae", "toString"]) {
    const { message } = assertThrows(() => stagesOf(word), UsageError);
    assert(message.endsWith("name tokenizer, transformer, decoder or all"), message);
  }
});

Deno.test("overridden() shares minutes out among stages, as the config does or equally", () => {
  const ends = (config: TrainConfig) => STAGES.map((s) => [config[s].steps, config[s].minutes]);
  assertEquals(ends(overridden(scenes, STAGES, { minutes: 30 })), [
    [null, 11],
    [null, 14.5],
    [null, 4.5],
  ]);
  assertEquals(ends(overridden(nano, STAGES, { minutes: 30 })), [
    [null, 10],
    [null, 10],
    [null, 10],
  ]);
  assertEquals(ends(overridden(nano, ["decoder"], { steps: 7, seed: 3 })), [
    [4550, null],
    [5610, null],
    [7, null],
  ]);
  assertEquals(overridden(nano, STAGES, { seed: 3 }).seed, 3);
  assertEquals(overridden(nano, STAGES, {}), nano);
  assertThrows(() => overridden(nano, STAGES, { steps: 7 }), InputError, "name one stage");
});

Deno.test("progressText() says what a report does", () => {
  assertEquals(
    progressText(progress(40)),
    "transformer 40/100, 1:00 min left, loss 0.1235, bits 100/98.8 %, 812 images/s, 24.4k tokens/s",
  );
  const { bit_accuracy: _, tokens_per_second: __, ...report } = progress(40).report;
  assertEquals(
    progressText({ ...progress(40, { steps: null }), report: { ...report, psnr: 24.26 } }),
    "transformer 40, 1:00 min left, loss 0.1235, 24.3 dB, 812 images/s",
  );
  assertEquals([0, 0.5, 999, 1000, 1e7].map(brief), ["0", "0.5", "999", "1k", "10M"]);
});

Deno.test("progressOf() prints a line every ten seconds, and the last", () => {
  const io = fakeIo();
  let now = 0;
  const show = progressOf(io, new ProgressLine(io), () => now);
  for (let step = 0; step <= 100; step += 10) {
    show(progress(step));
    now += 3000;
  }
  const lines = io.errors().trim().split("\n");
  assertEquals(
    lines.map((line) => line.split("/")[0]),
    [0, 40, 80, 100].map((n) => `transformer ${n}`),
  );
  assert(lines[0]!.includes("1:40 min left") && !lines[3]!.includes("left"), lines[3]);
});

Deno.test("runStages() trains one stage after the other, and says what was made", () =>
  inFolder(async (output) => {
    const calls: [Stage, TrainingOptions, TrainConfig][] = [];
    const train = (config: TrainConfig, stage: Stage, options: TrainingOptions) => {
      calls.push([stage, options, config]);
      options.onProgress?.(progress(100));
      options.onWarning?.("one is broken");
      const files = [join(output, `${stage}.safetensors`)];
      return Promise.resolve({ stage, step: 100, loss: 0.5, seconds: 90, files, adapter: "GPU" });
    };
    const training = { train, checkStages };
    const io = fakeIo();
    assertEquals(await runStages(nano, STAGES, { output, minutes: 3 }, io, training), 0);
    assertEquals(calls.map(([stage]) => stage), [...STAGES]);
    assertEquals(calls.map(([, { resume }]) => resume), [false, false, false]);
    assertEquals(calls.map(([stage, , config]) => config[stage].minutes), [1, 1, 1]);
    assertEquals(
      io.text().trim().split("\n"),
      calls.map(([stage]) => join(output, `${stage}.safetensors`)),
    );
    assert(io.errors().includes("warning: one is broken\n"));
    assert(io.errors().includes("tokenizer: 100 steps in 1:30 min, loss 0.5, on GPU\n"));

    // all stages go on where there is something to go on from
    calls.splice(0);
    await Deno.mkdir(join(output, "checkpoints"));
    await Deno.writeTextFile(join(output, "checkpoints", "tokenizer.safetensors"), "");
    const json = fakeIo();
    await runStages(nano, STAGES, { output, resume: true, json: true }, json, training);
    assertEquals(calls.map(([, { resume }]) => resume), [true, false, false]);
    const made = JSON.parse(json.text());
    assertEquals([made.output, made.stages.length], [output, 3]);
    // one that is named has to
    const alone = () => runStages(nano, ["decoder"], { output, resume: true }, fakeIo(), training);
    await assertRejects(alone, CheckpointError, "it has no checkpoint of the decoder");
    await assertRejects(
      () => runStages(nano, STAGES, {}, fakeIo(), training),
      UsageError,
      "--output",
    );
  }));
