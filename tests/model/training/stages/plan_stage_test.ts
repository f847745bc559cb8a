import { assert } from "@std/assert";
import { Device } from "../../../../engine/mod.ts";
import type { TrainConfig } from "../../../../model/training/config/types.ts";
import type { DataSource } from "../../../../model/training/data/base/source.ts";
import { openData } from "../../../../model/training/data/open_data.ts";
import type { Task } from "../../../../model/training/run/task.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import { trainerOptions } from "../../../../model/training/session/run_stage.ts";
import { planStage } from "../../../../model/training/stages/plan_stage.ts";
import { TokenizerTask } from "../../../../model/training/stages/tokenizer_task.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { TransformerTask } from "../../../../model/training/stages/transformer_task.ts";
import { inFolder } from "../../../commands/process.ts";
import { device } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

type Opened = Task & { dispose(): void };

Deno.test("planStage() tells what a stage holds, within 5 percent, for other batches too", () =>
  inFolder(async (output) => {
    const config = await tinyTraining({});
    const { tokenizer } = config;
    await train({ ...config, tokenizer: { ...tokenizer, steps: 1 } }, "tokenizer", { output });
    const open = {
      tokenizer: (device: Device, config: TrainConfig, data: DataSource): Promise<Opened> =>
        TokenizerTask.open(device, config, "tokenizer", output, data),
      transformer: (device: Device, config: TrainConfig, data: DataSource): Promise<Opened> =>
        TransformerTask.open(device, config, output, data),
    };
    for (const stage of ["tokenizer", "transformer"] as const) {
      for (const size of [{ batch: 4, recompute: false }, { batch: 24, recompute: true }]) {
        const plan = planStage(device, config, stage, open[stage]);
        const planned = await plan(size);
        const run = { ...config, [stage]: { ...config[stage], ...size, steps: 3 } };
        using fresh = await Device.open({ class: device.capabilities.class });
        const { data: { kind, path }, model: { image } } = config;
        const data = await openData(fresh, { kind, path, sizes: [image], seed: 1n, which: "all" });
        const task = await open[stage](fresh, run, data);
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
