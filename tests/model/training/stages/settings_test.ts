import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Stage, TrainConfig } from "../../../../model/training/config/types.ts";
import { trainerOptions } from "../../../../model/training/session/run_stage.ts";
import { openBeginning } from "../../../../model/training/stages/beginning.ts";
import { openStageData, openTask } from "../../../../model/training/stages/open_task.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import { inFolder } from "../../../commands/process.ts";
import { device } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

/** Another value of each setting that a pass depends on. */
const OTHERS: Record<"tokenizer" | "transformer", Record<string, unknown>> = {
  tokenizer: {
    "losses.l1": 3,
    "losses.l2": 3,
    "losses.gradient": 3,
    "losses.edge": 3,
    "losses.pool": 3,
    "losses.entropy": 3,
    "losses.commitment": 3,
    "losses.discriminator": 3,
    flips: 0.9,
    flips_share: 0,
    flips_after: 1,
    scale_dropout: 1,
    discriminator_after: 1,
  },
  transformer: {
    flips: 0,
    flips_share: 0,
    noise_apply_layers: 0,
    requantise: false,
    reweight_loss_by_scale: false,
    label_smoothing: 0.5,
    condition_dropout: 1,
    train_scales: 2,
    reuse: 8,
  },
};

/** Settings that others tests change: of the optimiser, of memory, and of what is opened. */
const ELSEWHERE = [
  ...["steps", "minutes", "batch", "accumulate", "learning_rate", "learning_rate_end", "warmup"],
  ...["schedule", "betas", "epsilon", "weight_decay", "clip", "ema", "recompute", "dtype"],
  ...["loss_scale", "losses", "text_encoder", "lora"],
];

/** A stage with one setting changed, perhaps one of its losses. */
function changed(config: TrainConfig, stage: Stage, key: string, value: unknown): TrainConfig {
  const section = config[stage];
  const [, loss] = key.split("losses.");
  const change = loss === undefined
    ? { [key]: value }
    : { losses: { ...config.tokenizer.losses, [loss]: value } };
  return { ...config, [stage]: { ...section, ...change } };
}

/** The losses of one pass, and the sums of all gradients, or one number of them. */
async function passOf(config: TrainConfig, stage: Stage, output: string): Promise<number[]> {
  const data = await openStageData(device, config, stage);
  const task = await openTask(stage, await openBeginning(config, output))(device, config, data);
  using tape = new Tape(device);
  const now = { step: 3, micro: 0, progress: 0.9 };
  const { metrics, owned = [] } = await task.compute(tape, now);
  tape.unwind();
  const read = await device.readAll([
    ...Object.values(metrics),
    ...task.parameters.pages.map(({ grad }) => grad),
  ]);
  for (const one of owned) one[Symbol.dispose]();
  for (const one of [task, data]) one.dispose();
  return read.map((values) => [...values].reduce((sum, x) => sum + Math.abs(x), 0));
}

for (const stage of ["tokenizer", "transformer"] as const) {
  Deno.test(`Each setting of the ${stage} changes what it learns`, () =>
    inFolder(async (output) => {
      const few = { steps: 1, batch: 2 };
      const config = await tinyTraining({
        tokenizer: {
          ...few,
          flips: 0.5,
          flips_share: 1,
          scale_dropout: 0,
          losses: { discriminator: 1 },
        },
        transformer: { ...few, flips: 0.5, flips_share: 1, condition_dropout: 0 },
      });
      const others = OTHERS[stage];
      const losses = Object.keys(config.tokenizer.losses).map((key) => `losses.${key}`);
      const known = [...Object.keys(others), ...ELSEWHERE].sort();
      const all = [...Object.keys(config[stage]), ...stage === "tokenizer" ? losses : []].sort();
      assertEquals(all, known.filter((key) => all.includes(key)));
      assertEquals(Object.keys(others).filter((key) => !all.includes(key)), []);

      if (stage === "transformer") await train(config, "tokenizer", { output });
      const usual = await passOf(config, stage, output);
      assertEquals(await passOf(config, stage, output), usual);
      for (const [key, value] of Object.entries(others)) {
        const pass = await passOf(changed(config, stage, key, value), stage, output);
        assertNotEquals(pass, usual, `${key} changes nothing`);
      }
    }));
}

Deno.test("Each loss of pixels is the one that its name says", () =>
  inFolder(async (output) => {
    const none = { l1: 0, l2: 0, gradient: 0 };
    const of = async (losses: object) => {
      const config = await tinyTraining({
        tokenizer: { batch: 2, losses: { ...none, ...losses } },
      });
      const data = await openStageData(device, config, "tokenizer");
      const begun = await openBeginning(config, output);
      const task = await openTask("tokenizer", begun)(device, config, data);
      using tape = new Tape(device);
      const { metrics, owned = [] } = await task.compute(tape, { step: 0, micro: 0, progress: 0 });
      const values = [...await device.read(metrics.loss)];
      for (const one of owned) one[Symbol.dispose]();
      for (const one of [task, data]) one.dispose();
      return values; // the loss, and the means of l1, l2 and gradient
    };
    for (const [i, name] of ["l1", "l2", "gradient"].entries()) {
      const [loss, ...means] = await of({ [name]: 2 });
      // the square that is logged is of what is shown, from -1 to 1: a little less
      const equal = means.map((mean) => Math.abs(loss! - 2 * mean) < 1e-5);
      assertEquals(
        equal,
        means.map((_, k) => k === i && name !== "l2"),
        `${name}: ${loss}, ${means}`,
      );
      assert(
        loss! >= 2 * means[i]! - 1e-5 && loss! < 2.1 * means[i]!,
        `${name}: ${loss}, ${means}`,
      );
    }
  }));

Deno.test("trainerOptions() hands on each setting of a section", async () => {
  const { tokenizer } = await tinyTraining();
  const made = trainerOptions({
    ...tokenizer,
    steps: 9,
    minutes: 8,
    accumulate: 7,
    learning_rate: 0.6,
    learning_rate_end: 0.5,
    warmup: 4,
    schedule: "linear",
    betas: [0.1, 0.2],
    epsilon: 0.3,
    weight_decay: 0.4,
    clip: 3,
    ema: 0.7,
    dtype: "f16",
    loss_scale: 8,
  });
  assertEquals(made, {
    steps: 9,
    minutes: 8,
    schedule: { peak: 0.6, warmup: 4, shape: "linear", final: 0.5 },
    optimiser: { betas: [0.1, 0.2], eps: 0.3, weightDecay: 0.4, clip: 3, ema: 0.7 },
    accumulate: 7,
    dtype: "f16",
    lossScale: 8,
  });
  const { optimiser } = trainerOptions({ ...tokenizer, clip: 0, ema: 0 });
  assertEquals([optimiser?.clip, optimiser?.ema], [null, null]);
});

Deno.test("openStageData() keeps back what is held out, of transformers alone, and hands on the rest", async () => {
  const { data, ...config } = await tinyTraining();
  const of = async (stage: Stage, changes: object = {}) => {
    const source = await openStageData(device, { ...config, data: { ...data, ...changes } }, stage);
    const { images, captions } = await source.batch(0, 64);
    using read = images;
    const values = await device.read(read) as Float32Array;
    const sum = values.reduce((sum, value, i) => sum + value * (i % 7), 0);
    source.dispose();
    return { count: source.count, captions, sum };
  };
  const [tokenizer, transformer] = [await of("tokenizer"), await of("transformer")];
  assertEquals([tokenizer.count, transformer.count], [1915, 1866]); // 49 pairs
  const mirrored = await of("transformer", { mirror: 1 });
  assertEquals(mirrored.captions, transformer.captions);
  assertNotEquals(mirrored.sum, transformer.sum);
});
