import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { ConfigError, Device, InputError } from "../../../../engine/mod.ts";
import { openFolder } from "../../../../model/checkpoint/folder.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
} from "../../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../../model/config/config.ts";
import { findPreset } from "../../../../model/config/presets.ts";
import type { ModelConfig } from "../../../../model/config/types.ts";
import { finetuneConfig } from "../../../../model/training/config/finetune_config.ts";
import { openData } from "../../../../model/training/data/open_data.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import { trainerOptions } from "../../../../model/training/session/run_stage.ts";
import { openBeginning } from "../../../../model/training/stages/beginning.ts";
import { openStageData, openTask } from "../../../../model/training/stages/open_task.ts";
import {
  type AdapterPlanOptions,
  planAdapters,
  planTraining,
} from "../../../../model/training/stages/plan_training.ts";
import { dataPlan, planStage } from "../../../../model/training/stages/plan_stage.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { MOST_CAPTIONS } from "../../../../model/training/stages/transformer_task.ts";
import { openWords } from "../../../../model/training/stages/words.ts";
import { inFolder } from "../../../commands/process.ts";
import { writeTraining } from "../../../commands/tiny_training.ts";
import { device } from "../../../harness.ts";
import { NANO } from "../../../nano.ts";
import { tinyTraining } from "./tiny.ts";

Deno.test("planStage() tells what a stage holds, within 5 percent, for other batches and adapters too", () =>
  inFolder(async (output) => {
    const whole = await tinyTraining({ tokenizer: { steps: 1 }, transformer: { steps: 1 } });
    for (const stage of ["tokenizer", "transformer"] as const) {
      await train(whole, stage, { output });
    }
    const lora = { rank: 4, alpha: null, layers: "blocks" as const };
    const adapters = { ...whole.transformer, lora, text_encoder: "frozen" as const };
    const folder = openFolder(output);
    const words = await openWords(whole);
    await writeTraining(output);
    const few = { ...whole.data, path: join(output, "tiles") };
    const stages = [
      ["tokenizer", whole, null, false],
      ["transformer", whole, null, false],
      ["transformer", { ...whole, transformer: adapters }, folder, false],
      ["transformer", { ...whole, data: few, transformer: adapters }, folder, true],
    ] as const;
    for (const [stage, config, init, known] of stages) {
      const open = openTask(stage, { folder, init, words });
      for (const size of [{ batch: 4, recompute: false }, { batch: 24, recompute: true }]) {
        const run = { ...config, [stage]: { ...config[stage], ...size, steps: 3 } };
        using fresh = await Device.open({ class: device.capabilities.class });
        const { data: { kind, path }, model: { image } } = config;
        const data = await openData(fresh, { kind, path, sizes: [image], seed: 1n, which: "all" });
        assertEquals(data.captions!(MOST_CAPTIONS) !== null, known);
        const planned = await planStage(device, config, stage, open, dataPlan(fresh, data))(size);
        const task = await open(fresh, run, data);
        using trainer = new Trainer(fresh, task, trainerOptions(run[stage]));
        await trainer.run();
        const held = fresh.memory.peakBytes;
        task.dispose();
        data.dispose();
        const what = `${stage} of ${size.batch}: planned ${planned}, held ${held}`;
        assert(Math.abs(planned / held - 1) < 0.05, what);
      }
    }
  }));

Deno.test("A training of many steps, whose captions differ in length, holds what was planned within 5 percent", () =>
  inFolder(async (output) => {
    const config = await tinyTraining({
      tokenizer: { steps: 1 },
      transformer: { steps: 40, batch: 8, accumulate: 2 },
    });
    await train(config, "tokenizer", { output });
    const begun = { folder: openFolder(output), init: null, words: await openWords(config) };
    const open = openTask("transformer", begun);
    using fresh = await Device.open({ class: device.capabilities.class });
    const { data: { kind, path }, model: { image } } = config;
    const data = await openData(fresh, { kind, path, sizes: [image], seed: 1n, which: "all" });
    const plan = planStage(device, config, "transformer", open, dataPlan(fresh, data));
    const planned = await plan({ batch: 8, recompute: false });
    const task = await open(fresh, config, data);
    using trainer = new Trainer(fresh, task, trainerOptions(config.transformer));
    await trainer.run();
    const held = fresh.memory.peakBytes;
    task.dispose();
    data.dispose();
    assert(Math.abs(planned / held - 1) < 0.05, `planned ${planned}, held ${held}`);
  }));

Deno.test("planAdapters() needs no files, and less for smaller types, fewer scales and recomputed blocks", async () => {
  const [small, large] = ["125m", "2b"].map((name) => parseConfig(findPreset(name).config, name));
  const plan = (model: ModelConfig, options: Partial<AdapterPlanOptions>) =>
    planAdapters(model, { rank: 8, dtype: "f16", ...options });
  const types = [];
  for (const type of ["f32", "f16", "q8_0", "q4_0"] as const) {
    types.push(await plan(small!, { type }));
  }
  assertEquals(types, types.toSorted((a, b) => b - a));
  const parameters = (shapes: Iterable<NamedShape>) =>
    [...shapes].reduce((sum, [, shape]) => sum + shape.reduce((n, size) => n * size, 1), 0);
  const count = parameters(parameterShapes(small!.transformer)) +
    parameters(t5Shapes(small!.text_encoder!));
  // what does not learn takes no more than its file
  assert(types[1]! < 2 * count * 1.2, `${types[1]} for ${count} parameters`);
  const type = "q4_0", scales = 8;
  const all = await plan(large!, { type, scales: 9 });
  const less = await plan(large!, { type, scales });
  const again = await plan(large!, { type, scales, recompute: true });
  assert(again < less && less < all, `${[again, less, all]}`);
  assert(await plan(large!, { type, scales, batch: 2 }) > less);
  await assertRejects(() => plan(small!, { batch: 0.5 }), ConfigError, "batch");
});

Deno.test("planTraining() tells what a stage holds, its sprites included, before anything is trained", () =>
  inFolder(async (output) => {
    const path = fromFileUrl(new URL("../../../../assets/training/emoji-scenes/", import.meta.url));
    const tiny = await tinyTraining({ tokenizer: { steps: 2, batch: 8 } });
    const config = { ...tiny, data: { ...tiny.data, kind: "scenes" as const, path } };
    const plan = await planTraining(config, "tokenizer");
    const planned = await plan(config.tokenizer);
    using fresh = await Device.open({ class: "gpu" });
    const data = await openStageData(fresh, config, "tokenizer");
    const sprites = fresh.memory.liveBytes;
    const begun = await openBeginning(config, output);
    const task = await openTask("tokenizer", begun)(fresh, config, data);
    using trainer = new Trainer(fresh, task, trainerOptions(config.tokenizer));
    await trainer.run();
    const held = fresh.memory.peakBytes;
    for (const one of [task, data]) one.dispose();
    const what = `planned ${planned}, held ${held}, of which ${sprites} are sprites`;
    assert(sprites > 50e6 && Math.abs(planned / held - 1) < 0.05, what);
    assert(await plan({ batch: 64, recompute: false }) > planned, what);
  }));

Deno.test("planTraining() plans adapters of the model that init names, and refuses what train() does", async () => {
  const nano = fromFileUrl(NANO);
  const sheet = fromFileUrl(new URL("../../../../assets/training/emoji/", import.meta.url));
  const plan = async (options: { lora?: number }) => {
    const config = await finetuneConfig(nano, sheet, { steps: 1, batch: 4, ...options });
    return await (await planTraining(config, "transformer"))(config.transformer);
  };
  const [adapters, whole] = [await plan({ lora: 4 }), await plan({})];
  assert(adapters < 0.7 * whole, `${adapters} of ${whole}`);
  const tiny = await tinyTraining();
  const { text_encoder: _, ...model } = tiny.model;
  const silent = { ...tiny, model };
  await assertRejects(() => planTraining(silent, "transformer"), InputError, "text encoder");
});
