import { assert } from "@std/assert";
import { join } from "@std/path";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { device } from "../harness.ts";
import { assertReproduces } from "./golden_model.ts";

/** A folder of model folders that each hold an `expected.safetensors`. */
const MODELS = Deno.env.get("BITWISE_MODELS");

Deno.test({
  name: MODELS
    ? `golden: every model in ${MODELS} end to end from the prompt text`
    : "golden: other models (skipped: set BITWISE_MODELS to a folder of model folders)",
  ignore: !MODELS,
  fn: async (t) => {
    let models = 0;
    for await (const { name, isDirectory } of Deno.readDir(MODELS!)) {
      if (!isDirectory) continue;
      models++;
      await t.step(name, async () => {
        const folder = join(MODELS!, name);
        const expected = await openTensorFile(join(folder, "expected.safetensors"));
        using model = await InfinityModel.load(folder, { device });
        try {
          await assertReproduces(model, expected);
        } finally {
          expected.close();
        }
      });
    }
    assert(models > 0, `no model folder in ${MODELS}`);
  },
});
