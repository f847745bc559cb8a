import { assert, assertEquals } from "@std/assert";
import { openBeginning } from "../../../../model/training/stages/beginning.ts";
import { openStageData, openTask } from "../../../../model/training/stages/open_task.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import { inFolder } from "../../../commands/process.ts";
import { device, NEED_F16 } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

/** WGSL that makes f16 of numbers that are too large: infinity, or the largest that there is. */
const INFINITE = /v \* (vec4<f32>|f32)\(3\.4e38\)/, LARGEST = /clamp\(v, (vec4<f32>|f32)\(-65504/;

/** Kernels that a backward pass runs to read what the forward pass made, not to make gradients. */
const READS = ["conv2d_backward_unfold"];

Deno.test({
  name: `No kernel hides that a gradient is too large for f16${NEED_F16}`,
  ignore: NEED_F16 !== "",
  fn: () =>
    inFolder(async (output) => {
      const half = { steps: 1, batch: 2, dtype: "f16", flips: 0.5 };
      const config = await tinyTraining({
        tokenizer: { ...half, losses: { discriminator: 1, entropy: 1 }, discriminator_after: 0 },
        transformer: half,
      });
      await train(config, "tokenizer", { output });
      const run = device.run.bind(device);
      for (const stage of ["tokenizer", "transformer"] as const) {
        const data = await openStageData(device, config, stage);
        const begun = await openBeginning(config, output);
        const task = await openTask(stage, begun)(device, config, data);
        using tape = new Tape(device, { dtype: "f16", lossScale: 2048 });
        const { owned = [] } = await task.compute(tape, { step: 0, micro: 0, progress: 0.9 });
        const tell = new Set<string>(), hide = new Set<string>();
        device.run = (kernel, dispatch) => {
          const { functions = "" } = dispatch;
          if (INFINITE.test(functions)) tell.add(kernel.name);
          if (LARGEST.test(functions) && !READS.includes(kernel.name)) hide.add(kernel.name);
          run(kernel, dispatch);
        };
        try {
          tape.unwind();
        } finally {
          device.run = run;
        }
        for (
          const one of [...owned.map((one) => ({ dispose: () => one[Symbol.dispose]() })), task]
        ) {
          one.dispose();
        }
        data.dispose();
        assert(tell.size >= 4, `${stage}: ${[...tell]}`);
        assertEquals([...hide], [], stage);
      }
    }),
});
