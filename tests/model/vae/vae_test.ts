import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError, Device, InputError, type Tensor } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { rgba8 } from "../../../kernels/elementwise/rgba8.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import type { VaeConfig } from "../../../model/config/types.ts";
import { VaeDecoder } from "../../../model/vae/vae.ts";
import { assertNear, device, poisoned, upload } from "../../harness.ts";

const NANO = new URL("../../../assets/models/emoji-nano/", import.meta.url).pathname;

/** [C, H, W] to [H, W, C], as a tensor of one image. */
function codesOf(data: Float32Array, C: number, H: number, W: number): Tensor {
  const nhwc = data.map((_, i) => data[i % C * H * W + Math.floor(i / C)]!);
  return upload("f32", [1, H, W, C], nhwc);
}

/** [H, W, 3] to [3, H, W]. */
function planar(data: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const area = data.length / 3;
  return Float32Array.from(
    { length: data.length },
    (_, i) => data[i % area * 3 + Math.floor(i / area)]!,
  );
}

async function image(decoder: VaeDecoder, codes: Tensor): Promise<Float32Array<ArrayBuffer>> {
  return planar(await device.read(decoder.decode(codes)));
}

function clamp(data: Float32Array): Float32Array {
  return data.map((v) => Math.min(1, Math.max(-1, v)));
}

async function load(
  name: string,
  dtype: "f32" | "f16" = "f32",
): Promise<{ decoder: VaeDecoder; config: VaeConfig }> {
  const { config, file } = await golden(name);
  return { config, decoder: await VaeDecoder.load(new Weights(device, file, dtype), config) };
}

/** Relative Frobenius error of decoded images in f32. */
const F32 = 2e-5;

for (const name of ["vae_d16", "vae_patchify"]) {
  for (const [dtype, tolerance] of [["f32", F32], ["f16", 3e-3]] as const) {
    Deno.test(`golden: VaeDecoder decodes as ${name} does in ${dtype}`, async () => {
      const { decoder } = await load(name, dtype);
      const expected = await golden(`${name}.golden`);
      for (const size of ["sq.", "ns."]) {
        const { shape: [, d = 0, , h = 0, w = 0], data } = expected.tensor(`${size}dfi_codes`);
        const actual = await image(decoder, codesOf(data, d, h, w));
        const what = `${size}dfi_recon`;
        assertNear(clamp(actual), expected.tensor(what).data, tolerance, what);
        const z = codesOf(expected.tensor(`${size}z`).data, d, h, w);
        const raw = expected.tensor(`${size}dec_raw`).data;
        assertNear(await image(decoder, z), raw, tolerance, `${size}dec_raw`);
      }
      decoder.dispose();
    });
  }
}

Deno.test("golden: VaeDecoder decodes with f16 activations as on a GPU", async () => {
  using gpu = await Device.open({ class: "gpu" });
  const { config, file } = await golden("vae_d16");
  const decoder = await VaeDecoder.load(new Weights(gpu, file, "f16"), config);
  const expected = await golden("vae_d16.golden");
  for (const size of ["sq.", "ns."]) {
    const { shape: [, d = 0, , h = 0, w = 0], data } = expected.tensor(`${size}dfi_codes`);
    const nhwc = data.map((_, i) => data[i % d * h * w + Math.floor(i / d)]!);
    const codes = gpu.from("f32", [1, h, w, d], nhwc);
    for (const rows of [undefined, 5]) {
      const actual = await gpu.read(decoder.decode(codes, 1, rows)) as Float32Array;
      const what = `${size}dfi_recon`;
      assertNear(clamp(planar(actual)), expected.tensor(what).data, 3e-3, `${what} ${rows} rows`);
    }
  }
  decoder.dispose();
});

Deno.test("VaeDecoder gives an image the same bits alone and in a batch", async () => {
  const { decoder } = await load("vae_d16");
  const expected = await golden("vae_d16.golden");
  const codes = await device.read(codesOf(expected.tensor("sq.dfi_codes").data, 16, 4, 4));
  const [a, b] = [codes, codes.map((v) => -v)] as [Float32Array, Float32Array];
  const pair = upload("f32", [2, 4, 4, 16], [...a, ...b]);
  const together = decoder.decode(pair);
  const oneByOne = decoder.decode(pair, 1);
  const alone = decoder.decode(upload("f32", [1, 4, 4, 16], b));
  const [both, split, second] = await device.readAll([together, oneByOne, alone]);
  assertEquals(both!.slice(64 * 64 * 3), second);
  assertEquals(split, both);
  decoder.dispose();
});

Deno.test("golden: VaeDecoder decodes emoji-nano's images", async () => {
  const config: VaeConfig = JSON.parse(await Deno.readTextFile(`${NANO}config.json`)).vae;
  const file = await openTensorFile(`${NANO}vae.safetensors`);
  const decoder = await VaeDecoder.load(new Weights(device, file, "f32"), config);
  const expected = await openTensorFile(`${NANO}expected.safetensors`);
  for (const [name, image] of [["vae", "recon"], ["p0", "image"], ["p1", "image"]]) {
    const codes = await expected.readFloat32(`${name}.codes`);
    const x = decoder.decode(codesOf(codes, 32, 4, 4));
    const y = poisoned("u32", [1, 32, 32]);
    rgba8(device, { x, y });
    const [actual, rgba] = await device.readAll([x, y]);
    const want = await expected.readFloat32(`${name}.${image}`);
    assertNear(clamp(planar(actual!)), want, 2e-5, `${name}.${image}`);
    if (name === "vae") continue; // its image_u8 is the image before encoding
    const bytes = await expected.read(`${name}.image_u8`) as Uint8Array;
    const pixels = new Uint8Array(rgba!.buffer).filter((_, i) => i % 4 !== 3);
    assert(pixels.every((v, i) => Math.abs(v - bytes[i]!) <= 1), `${name}.image_u8`);
  }
  decoder.dispose();
  file.close();
  expected.close();
});

Deno.test("VaeDecoder frees its memory", async () => {
  const before = device.memory.liveBytes;
  const { decoder } = await load("vae_patchify");
  const codes = poisoned("f32", [1, 2, 3, 14]);
  const image = decoder.decode(codes);
  assertEquals(image.shape, [1, 16, 24, 3]);
  for (const owner of [image, codes, decoder]) owner.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("VaeDecoder refuses codes of another width and other checkpoints", async () => {
  const { decoder, config } = await load("vae_patchify");
  assertThrows(
    () => decoder.decode(poisoned("f32", [1, 2, 2, 16])),
    InputError,
    "Cannot decode [1,2,2,16]: the VAE takes [batch, height, width, 14]",
  );
  const { file } = await golden("vae_d16");
  await assertRejects(
    () => VaeDecoder.load(new Weights(device, file, "f32"), config),
    CheckpointError,
  );
});

Deno.test("VaeDecoder reads checkpoints without the inner names", async () => {
  const { config, file } = await golden("vae_patchify");
  const older = new Map(
    [...file.tensors.values()].map((info) => [
      info.name.replace(/\.(conv|norm)\.(weight|bias)$/, ".$2"),
      info.name,
    ]),
  );
  const renamed = {
    ...file,
    tensors: new Map([...older].map(([name, is]) => [name, { ...file.get(is), name }])),
    get: (name: string) => file.get(older.get(name)!),
    readFloat32: (name: string) => file.readFloat32(older.get(name)!),
    chunks: (name: string, max?: number) => file.chunks(older.get(name)!, max),
  };
  const decoder = await VaeDecoder.load(new Weights(device, renamed, "f32"), config);
  const expected = await golden("vae_patchify.golden");
  const codes = codesOf(expected.tensor("sq.dfi_codes").data, 14, 8, 8);
  const actual = clamp(await image(decoder, codes));
  assertNear(actual, expected.tensor("sq.dfi_recon").data, F32);
});
