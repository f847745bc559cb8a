import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { ConfigError, FileError } from "../../../../engine/mod.ts";
import { finetuneConfig, readTrainConfig } from "../../../../model/training/mod.ts";
import { inFolder } from "../../../commands/process.ts";

const nano = await readTrainConfig(
  fromFileUrl(new URL("../../../../examples/training/emoji-nano.json", import.meta.url)),
);

Deno.test("finetuneConfig() makes a config of options, by what is in the folder", () =>
  inFolder(async (folder) => {
    const config = await finetuneConfig("emoji-nano", folder, {});
    assertEquals(config.data, { ...nano.data, kind: "folder", path: folder });
    assertEquals(config.model, nano.model);
    assert(config.init?.includes("emoji-nano"));
    const { steps, batch, learning_rate, text_encoder, lora } = config.transformer;
    assertEquals([steps, batch, learning_rate, text_encoder], [500, 8, 1e-4, "frozen"]);
    assertEquals(lora.rank, 0);
    await Deno.writeTextFile(join(folder, "a.jsonl"), "");
    const given = { lora: 4, prompts: ["a", "b"], skipBroken: true };
    const adapted = await finetuneConfig("emoji-nano", folder, given);
    const { transformer, data, sample_prompts } = adapted;
    assertEquals([transformer.lora.rank, transformer.learning_rate], [4, 1e-3]);
    assertEquals([data.kind, data.broken, sample_prompts], ["jsonl", "skip", ["a", "b"]]);
    const step = { accumulate: 8, batch: 1, recompute: true, scales: 3, dtype: "f16" } as const;
    const small = (await finetuneConfig("emoji-nano", folder, step)).transformer;
    assertEquals([small.accumulate, small.batch, small.recompute], [8, 1, true]);
    assertEquals([small.train_scales, small.dtype], [3, "f16"]);
    await Deno.writeTextFile(join(folder, "captions.json"), "");
    assertEquals((await finetuneConfig("emoji-nano", folder, {})).data.kind, "sheet");
    const ends = async (steps?: number, minutes?: number) => {
      const { transformer } = await finetuneConfig("emoji-nano", folder, { steps, minutes });
      return [transformer.steps, transformer.minutes];
    };
    assertEquals([await ends(7), await ends(7, 2), await ends(undefined, 3), await ends()], [
      [7, null],
      [7, 2],
      [null, 3],
      [
        500,
        null,
      ],
    ]);
    await assertRejects(
      () => finetuneConfig("emoji-nano", folder, { batch: 0 }),
      ConfigError,
      "transformer.batch is 0",
    );
    await assertRejects(
      () => finetuneConfig("emoji-nano", join(folder, "none"), {}),
      FileError,
      "it does not exist; give a folder of images and captions",
    );
  }));
