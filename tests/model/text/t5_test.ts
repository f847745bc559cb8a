import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError, Device, InputError, type Tensor } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import type { T5Config } from "../../../model/config/types.ts";
import { relativePositionBucket, T5Encoder } from "../../../model/text/t5.ts";
import { assertNear, device } from "../../harness.ts";

const MODEL = new URL("../../../assets/models/emoji-nano/", import.meta.url).pathname;

async function tiny(dtype: "f32" | "f16" = "f32", on: Device = device): Promise<T5Encoder> {
  const { file, config } = await golden("t5_tiny");
  return await T5Encoder.load(new Weights(on, file, dtype), config as T5Config);
}

/** The golden prompts without their padding. */
async function prompts(): Promise<number[][]> {
  const { tensor, config } = await golden("t5_tiny.golden");
  const { data, shape } = tensor<Int32Array<ArrayBuffer>>("input_ids");
  const lens: number[] = config.lens;
  return lens.map((n, i) => [...data.subarray(i * shape[1]!, i * shape[1]! + n)]);
}

/** The rows of real tokens of a golden [B, rows, C], packed. */
async function packed(name: string, lens: readonly number[]): Promise<Float32Array> {
  const { data, shape: [, rows = 0, C = 0] } = (await golden("t5_tiny.golden")).tensor(name);
  return Float32Array.from(lens.flatMap((n, i) => [
    ...data.subarray(i * rows * C, (i * rows + Math.min(n, rows)) * C),
  ]));
}

Deno.test("golden: relativePositionBucket() gives T5's buckets", async () => {
  const { tensor } = await golden("t5_tiny.golden");
  const config = { relative_attention_num_buckets: 32, relative_attention_max_distance: 128 };
  const positions = tensor<Int32Array<ArrayBuffer>>("bucket.rel").data;
  const buckets = [...positions].map((position) => relativePositionBucket(position, config));
  assertEquals(buckets, [...tensor<Int32Array<ArrayBuffer>>("bucket.value").data]);
});

for (const [dtype, tolerance] of [["f32", 2e-5], ["f16", 3e-3]] as const) {
  Deno.test(`golden: T5Encoder encodes packed prompts with ${dtype} matrices`, async () => {
    const encoder = await tiny(dtype);
    const { features, lens } = encoder.encode(await prompts());
    assertEquals(lens, [150, 23]);
    assertEquals(features.shape, [173, 256]);
    const actual = await device.read(features) as Float32Array;
    assertNear(actual, await packed("last_hidden_state", lens), tolerance);
    features.dispose();
    encoder.dispose();
  });
}

Deno.test("golden: T5Encoder encodes packed prompts with f16 activations", async () => {
  using gpu = await Device.open({ class: "gpu" });
  const encoder = await tiny("f16", gpu);
  const { features, lens } = encoder.encode(await prompts());
  assertEquals(features.dtype, "f32");
  const actual = await gpu.read(features) as Float32Array;
  assertNear(actual, await packed("last_hidden_state", lens), 3e-3);
  encoder.dispose();
});

Deno.test("golden: T5Encoder matches after each half of each block", async () => {
  const encoder = await tiny();
  const seen: [string, Tensor][] = [];
  const { features, lens } = encoder.encode(await prompts(), (name, x) => {
    const copy = device.tensor("f32", x.shape);
    device.copy(x, copy);
    seen.push([name, copy]);
  });
  assertEquals(seen.length, 6);
  const { has } = await golden("t5_tiny.golden");
  assert(has("layer0.after_attn.first24") && has("layer0.out.first24"));
  for (const [name, copy] of seen) {
    if (!has(`${name}.first24`)) continue; // the packed goldens hold some of them
    const rows = await device.read(copy) as Float32Array;
    const C = 256;
    const first24 = [
      ...rows.subarray(0, 24 * C),
      ...rows.subarray(lens[0]! * C, (lens[0]! + 23) * C),
    ];
    assertNear(first24, await packed(`${name}.first24`, lens), 2e-5, name);
  }
  for (const [, copy] of seen) copy.dispose();
  features.dispose();
  encoder.dispose();
});

Deno.test("T5Encoder gives a prompt the same bits alone and in a batch", async () => {
  const encoder = await tiny();
  const [long, short] = await prompts();
  const batch = encoder.encode([[5, 1], short!, long!, [1]]);
  const starts = [0, 2, 2 + short!.length, 2 + short!.length + long!.length];
  const all = await device.read(batch.features) as Float32Array;
  for (const [i, prompt] of [[5, 1], short!, long!, [1]].entries()) {
    const { features } = encoder.encode([prompt]);
    const alone = await device.read(features);
    assertEquals(alone, all.slice(starts[i]! * 256, (starts[i]! + prompt.length) * 256));
    features.dispose();
  }
  batch.features.dispose();
  encoder.dispose();
});

Deno.test("T5Encoder reads nothing back and frees its memory", async () => {
  const before = device.memory.liveBytes;
  const encoder = await tiny("f16");
  const { readBacks } = device;
  encoder.encode(await prompts()).features.dispose();
  assertEquals(device.readBacks, readBacks);
  encoder.dispose();
  device.flush();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("T5Encoder refuses ids outside its vocabulary", async () => {
  const encoder = await tiny();
  assertThrows(
    () => encoder.encode([[3, 512, 1]]),
    InputError,
    "Cannot encode token 512: the text encoder knows 0 to 511",
  );
  for (const ids of [[], [[1], []]]) {
    assertThrows(() => encoder.encode(ids), InputError, "a prompt without tokens");
  }
  encoder.dispose();
});

Deno.test("T5Encoder refuses the checkpoint of another model", async () => {
  const before = device.memory.liveBytes;
  const { file, config } = await golden("t5_tiny");
  const weights = new Weights(device, file, "f32");
  await assertRejects(
    () => T5Encoder.load(weights, { ...config as T5Config, num_layers: 4 }),
    CheckpointError,
    'tensor "encoder.block.3.layer.0.layer_norm.weight" is missing',
  );
  await assertRejects(
    () => T5Encoder.load(weights, { ...config as T5Config, d_ff: 200 }),
    CheckpointError,
    "is [192, 256], config.json makes it [200, 256]",
  );
  weights.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("golden: T5Encoder computes emoji-nano's text features", async () => {
  const config = JSON.parse(await Deno.readTextFile(`${MODEL}config.json`)).text_encoder;
  const file = await openTensorFile(`${MODEL}text_encoder/model.safetensors`);
  const expected = await openTensorFile(`${MODEL}expected.safetensors`);
  const encoder = await T5Encoder.load(new Weights(device, file, "f32"), config as T5Config);
  const ids = [];
  for (const p of [0, 1, 2]) ids.push([...(await expected.read(`p${p}.ids`)) as Int32Array]);
  const { features, lens } = encoder.encode(ids);
  const rows = await device.read(features) as Float32Array;
  let start = 0;
  for (const [p, n] of lens.entries()) {
    const alone = rows.subarray(start * 256, (start + n) * 256);
    assertNear(alone, await expected.readFloat32(`p${p}.text_features`), 2e-5, `prompt ${p}`);
    start += n;
  }
  assert(start === rows.length / 256);
  features.dispose();
  encoder.dispose();
  for (const open of [file, expected]) open.close();
});
