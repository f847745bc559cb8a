import { assertEquals, assertRejects } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { InputError } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import type { GenerateOptions } from "../../../model/generate/options.ts";
import { inFolder } from "../../commands/process.ts";
import { device } from "../../harness.ts";
import { NANO } from "../../nano.ts";

const BOX = fromFileUrl(NANO);
const FILES = [
  "config.json",
  "tokenizer.json",
  "transformer.safetensors",
  "vae.safetensors",
  "text_encoder/model.safetensors",
];
const MESSAGE = "Cannot generate: the model computed NaN or infinity";

/** A copy of the model in the box with one weight that is NaN. */
async function copyWithNaN(folder: string, name: string, tensor: string): Promise<void> {
  for (const file of FILES) {
    await Deno.mkdir(dirname(join(folder, file)), { recursive: true });
    await Deno.copyFile(join(BOX, file), join(folder, file));
  }
  const file = await openTensorFile(join(folder, name));
  const { offset, dtype } = file.get(tensor);
  file.close();
  using handle = await Deno.open(join(folder, name), { write: true });
  await handle.seek(offset, Deno.SeekMode.Start);
  const nan = dtype === "F32" ? Float32Array.of(NaN) : Float16Array.of(NaN);
  await handle.write(new Uint8Array(nan.buffer));
}

for (
  const [name, tensor] of [
    ["transformer.safetensors", "block_chunks.1.module.0.ffn.fc1.weight"],
    ["vae.safetensors", "decoder.conv_out.conv.weight"],
    ["text_encoder/model.safetensors", "encoder.block.0.layer.0.SelfAttention.q.weight"],
  ] as const
) {
  Deno.test(`generate() refuses to generate with a NaN in ${name}`, () =>
    inFolder(async (folder) => {
      await copyWithNaN(folder, name, tensor);
      using model = await InfinityModel.load(folder, { device });
      await assertRejects(() => model.generate({ prompt: "cat" }), InputError, MESSAGE);
    }));
}

Deno.test("generate() refuses to generate with NaN in text features, and generates again afterwards", async () => {
  using model = await InfinityModel.load(NANO, { device });
  const live = device.memory.liveBytes;
  const width = model.config.transformer.text_channels;
  const good = { features: new Float32Array(3 * width).fill(0.5), width, lens: [3] };
  const bad = { ...good, features: good.features.with(width + 1, NaN) };
  const refused: GenerateOptions[] = [
    { textFeatures: bad },
    { textFeatures: good, negativeFeatures: bad, cfgScale: [1, 1, 1, 2] },
    { textFeatures: good, negativeFeatures: bad, cfgInsertionLayer: -1, cfgScale: 2 },
  ];
  for (const options of refused) {
    const readBacks = device.readBacks;
    await assertRejects(() => model.generate(options), InputError, MESSAGE);
    assertEquals([device.memory.liveBytes, device.readBacks - readBacks], [live, 1]);
  }
  const { images } = await model.generate({ textFeatures: good });
  assertEquals(images.length, 1);
});
