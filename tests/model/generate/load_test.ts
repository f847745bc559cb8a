import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { CheckpointError, encodeSafetensors } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { inFolder } from "../../commands/process.ts";
import { device } from "../../harness.ts";
import { NANO } from "../../nano.ts";

const BOX = fromFileUrl(NANO);
const CONFIG = JSON.parse(await Deno.readTextFile(join(BOX, "config.json")));

/** The model in the box with changes to its config.json, and some of its files replaced. */
async function makeModel(folder: string, config: unknown, files: Record<string, string> = {}) {
  await Deno.mkdir(join(folder, "text_encoder"));
  for (const name of Object.values(CONFIG.files as Record<string, string>)) {
    await Deno.symlink(join(BOX, files[name] ?? name), join(folder, name));
  }
  await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(config));
}

Deno.test("InfinityModel.load() refuses files of another model before reading weights", async () => {
  const cases: [config: unknown, files: Record<string, string>, code: string, message: string][] = [
    [CONFIG, { "vae.safetensors": "transformer.safetensors" }, "another-model", "not a VAE"],
    [
      CONFIG,
      { "transformer.safetensors": "text_encoder/model.safetensors" },
      "another-model",
      "it looks like a T5 encoder, not an Infinity transformer: it has none of the 97 tensors",
    ],
    [
      CONFIG,
      { "text_encoder/model.safetensors": "vae.safetensors" },
      "another-model",
      "it looks like a VAE, not a T5 encoder",
    ],
    [
      { ...CONFIG, transformer: { ...CONFIG.transformer, depth: 3, block_chunks: 3 } },
      {},
      "missing-tensor",
      '19 tensors missing: "block_chunks.2.module.0.ada_gss", ',
    ],
    [
      { ...CONFIG, transformer: { ...CONFIG.transformer, text_maxlen: 32 } },
      {},
      "wrong-shape",
      'tensor "cfg_uncond" is [64, 256], config.json makes it [32, 256]',
    ],
    [
      {
        ...CONFIG,
        vae: { ...CONFIG.vae, codebook_dim: 16, z_channels: 16 },
        transformer: { ...CONFIG.transformer, d_vae: 16 },
      },
      {},
      "wrong-vae",
      "its codes have 32 bits, the transformer predicts 16; use infinity_vae_d16.pth",
    ],
  ];
  for (const [config, files, code, message] of cases) {
    await inFolder(async (folder) => {
      await makeModel(folder, config, files);
      const error = await assertRejects(() => InfinityModel.load(folder, { device }));
      assert(error instanceof CheckpointError, `${error}`);
      assertEquals(error.code, code, error.message);
      assert(error.message.includes(message), error.message);
      assert(!error.message.includes("\n"), error.message);
    });
  }
  device.trim();
  assertEquals(device.memory.liveBytes, 0);
});

Deno.test("InfinityModel.load() names extra tensors, and ignores harmless ones", () =>
  inFolder(async (folder) => {
    const file = await openTensorFile(join(BOX, "transformer.safetensors"));
    const tensors = await Promise.all(
      Array.from(file.tensors.values(), async (info) => ({
        ...info,
        data: await file.read(info.name),
      })),
    );
    file.close();
    const zero = { dtype: "F32" as const, shape: [1], data: new Float32Array(1) };
    const save = async (...names: string[]) =>
      await Deno.writeFile(
        join(folder, "t.safetensors"),
        encodeSafetensors([...tensors, ...names.map((name) => ({ name, ...zero }))]),
      );
    const files = { ...CONFIG.files, transformer: "t.safetensors" };
    await makeModel(folder, { ...CONFIG, files });
    await save("lvl_1L", "attn_bias_for_masking", "Infinity_visible_kvlen");
    (await InfinityModel.load(folder, { device })).dispose();
    await save("x.1", "x.2", "lvl_1L", "x.3", "x.4", "x.5", "x.6", "x.7");
    const { message } = await assertRejects(() => InfinityModel.load(folder, { device })) as Error;
    assertEquals(
      message,
      `Cannot load "${folder}/t.safetensors": 7 tensors that config.json does not describe: ` +
        '"x.1", "x.2", "x.3", "x.4", "x.5" and 2 more',
    );
  }));

Deno.test("generate() takes the nearest official size if the model has some, and warns", () =>
  inFolder(async (folder) => {
    await makeModel(folder, { ...CONFIG, pixel_budgets: ["0.25M"] });
    const model = await InfinityModel.load(folder, { device });
    const { images: [image], warnings } = await model.generate({
      prompt: "red apple",
      width: 100,
      height: 110,
    });
    assertEquals([image!.width, image!.height], [128, 128]);
    assertEquals(warnings, [
      "Using 128x128, the official size nearest to 100x110",
      "emoji-nano was not trained for 128x128: images may be poor; use 256x256",
    ]);
    model.dispose();
  }));
