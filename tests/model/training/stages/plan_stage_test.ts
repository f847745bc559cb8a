import { assert, assertEquals } from "@std/assert";
import { Device } from "../../../../engine/mod.ts";
import { openFolder } from "../../../../model/checkpoint/folder.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
} from "../../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../../model/config/config.ts";
import { findPreset } from "../../../../model/config/presets.ts";
import type { TrainConfig } from "../../../../model/training/config/types.ts";
import type { DataSource } from "../../../../model/training/data/base/source.ts";
import { openData } from "../../../../model/training/data/open_data.ts";
import type { Task } from "../../../../model/training/run/task.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import { trainerOptions } from "../../../../model/training/session/run_stage.ts";
import {
  type AdapterPlanOptions,
  planAdapters,
} from "../../../../model/training/stages/plan_adapters.ts";
import { planStage } from "../../../../model/training/stages/plan_stage.ts";
import { TokenizerTask } from "../../../../model/training/stages/tokenizer_task.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { TransformerTask } from "../../../../model/training/stages/transformer_task.ts";
import { openWords } from "../../../../model/training/stages/words.ts";
import { inFolder } from "../../../commands/process.ts";
import { device } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

type Opened = Task & { dispose(): void };

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
    const stages = [
      ["tokenizer", whole, null],
      ["transformer", whole, null],
      ["transformer", { ...whole, transformer: adapters }, folder],
    ] as const;
    for (const [stage, config, init] of stages) {
      const begun = { folder, init, words };
      const open = (device: Device, config: TrainConfig, data: DataSource): Promise<Opened> =>
        stage === "tokenizer"
          ? TokenizerTask.open(device, config, stage, begun, data)
          : TransformerTask.open(device, config, begun, data);
      for (const size of [{ batch: 4, recompute: false }, { batch: 24, recompute: true }]) {
        const planned = await planStage(device, config, stage, open)(size);
        const run = { ...config, [stage]: { ...config[stage], ...size, steps: 3 } };
        using fresh = await Device.open({ class: device.capabilities.class });
        const { data: { kind, path }, model: { image } } = config;
        const data = await openData(fresh, { kind, path, sizes: [image], seed: 1n, which: "all" });
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

Deno.test("planAdapters() needs no files, and less for smaller types, fewer scales and recomputed blocks", async () => {
  const { config } = findPreset("125m");
  const model = parseConfig(config, "125m");
  const plan = (options: Partial<AdapterPlanOptions>) =>
    planAdapters(model, { rank: 8, dtype: "f16", ...options });
  const types = [];
  for (const type of ["f32", "f16", "q8_0", "q4_0"] as const) types.push(await plan({ type }));
  assertEquals(types, types.toSorted((a, b) => b - a));
  const parameters = (shapes: Iterable<NamedShape>) =>
    [...shapes].reduce((sum, [, shape]) => sum + shape.reduce((n, size) => n * size, 1), 0);
  const count = parameters(parameterShapes(model.transformer)) +
    parameters(t5Shapes(model.text_encoder!));
  // what does not learn takes no more than its file
  assert(types[1]! < 2 * count * 1.3, `${types[1]} for ${count} parameters`);
  const [all, few, again] = [types[1]!, await plan({ scales: 5 }), await plan({ recompute: true })];
  assert(few < all && again < all, `${[all, few, again]}`);
  assert(await plan({ batch: 4 }) > all);
});
