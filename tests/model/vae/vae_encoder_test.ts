import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError, Device, dryGpu, InputError, type Tensor } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { quantiseFeatures, sumCodes } from "../../../model/bits/quantiser.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import type { Grid } from "../../../model/config/grid.ts";
import type { ModelConfig, VaeConfig } from "../../../model/config/types.ts";
import { SyntheticSource } from "../../../model/parts/synthetic.ts";
import { VaeEncoder } from "../../../model/vae/vae_encoder.ts";
import { assertNear, device, poisoned, random, upload, values } from "../../harness.ts";
import { channelsLast, resize } from "../../kernels/images.ts";

const NANO = new URL("../../../assets/models/emoji-nano/", import.meta.url).pathname;

type Bits = Uint8Array<ArrayBuffer>;

/** A golden [1, C, H, W] on the GPU, channels last. */
function uploaded(tensor: { shape: readonly number[]; data: ArrayLike<number> }): Tensor {
  const { shape, data } = channelsLast(tensor);
  return upload("f32", shape, data);
}

/** Rows and columns of [B, h, w, d]. */
function latentOf({ shape: [, h = 0, w = 0] }: Tensor): Grid {
  return [h, w];
}

/** (1, h, w) as the goldens write a schedule. */
function grids(schedule: readonly (readonly number[])[]): Grid[] {
  return schedule.map(([, h, w]) => [h!, w!]);
}

/**
 * What each scale sees, in double precision: the features minus the codes of the scales before, resized by area.
 *
 * @param bits The bits that were chosen, by scale.
 */
function seen(
  features: { shape: number[]; data: Float64Array },
  schedule: readonly Grid[],
  bits: readonly ArrayLike<number>[],
): Float64Array[] {
  const [B = 0, h = 0, w = 0, d = 0] = features.shape;
  const residual = { shape: features.shape, data: features.data.slice() };
  return schedule.map(([height, width], s) => {
    const mean = resize("area", residual, height, width).data;
    const codes = Float64Array.from(bits[s]!, (bit) => (2 * bit - 1) / Math.sqrt(d));
    resize("linear", { shape: [B, height, width, d], data: codes }, h, w).data.forEach((v, i) => {
      residual.data[i]! -= v;
    });
    return mean;
  });
}

/** Bits must match the reference's, except where the value whose sign it took is below 1e-5. */
function assertBits(
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  means: readonly Float64Array[],
  what: string,
): void {
  expected.forEach((bits, s) => {
    assertEquals(actual[s]!.length, bits.length, `${what} scale ${s}`);
    means[s]!.forEach((mean, i) => {
      const fits = actual[s]![i] === bits[i] || Math.abs(mean) < 1e-5;
      assert(fits, `${what} scale ${s}: bit ${i} of ${mean} is ${actual[s]![i]}, not ${bits[i]}`);
    });
  });
}

/** Checks an encoder's features, bits and sum of codes for an image. */
async function assertEncodes(
  encoder: VaeEncoder,
  schedule: readonly Grid[],
  image: Tensor,
  expected: {
    h: ReturnType<typeof channelsLast>;
    bits: Bits[];
    z: ReturnType<typeof channelsLast>;
  },
  what: string,
): Promise<void> {
  const features = encoder.encode(image);
  const bits = quantiseFeatures(device, features, schedule);
  const sum = sumCodes(device, bits, schedule, latentOf(features));
  const [h, z, ...scales] = await device.readAll([features, sum, ...bits]);
  assertNear(h!, expected.h.data, 2e-5, `${what} features`);
  const means = seen(expected.h, schedule, expected.bits);
  assertBits(scales, expected.bits, means, what);
  assertNear(z!, expected.z.data, 1e-6, `${what} z`);
  for (const tensor of [features, sum, ...bits]) tensor.dispose();
}

for (const name of ["vae_d16", "vae_patchify"]) {
  Deno.test(`golden: VaeEncoder and quantiseFeatures() encode as ${name} does`, async () => {
    const { config, file } = await golden(name);
    const encoder = await VaeEncoder.load(new Weights(device, file, "f32"), config);
    const expected = await golden(`${name}.golden`);
    for (const size of ["sq.", "ns."]) {
      const schedule = grids(expected.config.schedules[size]);
      await assertEncodes(encoder, schedule, uploaded(expected.tensor(`${size}img`)), {
        h: channelsLast(expected.tensor(`${size}h`)),
        bits: schedule.map((_, s) => expected.tensor<Bits>(`${size}bits${s}`).data),
        z: channelsLast(expected.tensor(`${size}z`)),
      }, `${name} ${size}`);
    }
    encoder.dispose();
  });
}

Deno.test("golden: VaeEncoder and quantiseFeatures() encode as emoji-nano's reference does", async () => {
  const config: ModelConfig = JSON.parse(await Deno.readTextFile(`${NANO}config.json`));
  const file = await openTensorFile(`${NANO}vae.safetensors`);
  const encoder = await VaeEncoder.load(new Weights(device, file, "f32"), config.vae);
  const expected = await openTensorFile(`${NANO}expected.safetensors`);
  const bytes = await expected.read("vae.image_u8") as Bits;
  const image = upload("f32", [1, 32, 32, 3], Float32Array.from(bytes, (v) => v / 127.5 - 1));
  const map = async (name: string) =>
    channelsLast({ shape: [1, 32, 4, 4], data: await expected.readFloat32(name) });
  const schedule = grids(config.scale_schedule);
  const bits: Bits[] = [];
  for (const s of schedule.keys()) bits.push(await expected.read(`vae.bits.${s}`) as Bits);
  const [h, z] = [await map("vae.features"), await map("vae.codes")];
  await assertEncodes(encoder, schedule, image, { h, bits, z }, "emoji-nano");
  encoder.dispose();
  file.close();
  expected.close();
});

Deno.test("golden: quantiseFeatures() gives the bits of real schedules, 16 to 64 per position", async () => {
  const { config, has, tensor } = await golden("bsq_only");
  type Case = { d: number; schedule: number[][] };
  const cases = Object.entries<Case>(config).filter(([name]) => has(`${name}x`));
  assert(cases.length >= 6, "the packed files hold six of the eight");
  for (const [name, { d, schedule: scales }] of cases) {
    const schedule = grids(scales);
    const features = tensor(`${name}x`);
    const x = uploaded(features);
    const bits = quantiseFeatures(device, x, schedule);
    const sum = sumCodes(device, bits, schedule, latentOf(x));
    const [z, ...actual] = await device.readAll([sum, ...bits]);
    const { data } = tensor<Bits>(`${name}bits`);
    let begin = 0;
    const expected = schedule.map(([h, w]) => data.subarray(begin, begin += h * w * d));
    // all margins of the goldens are above 1e-5: no bit may differ
    actual.forEach((scale, s) =>
      assertEquals(Uint8Array.from(scale), Uint8Array.from(expected[s]!), `${name} scale ${s}`)
    );
    const latent = channelsLast(tensor(has(`${name}z`) ? `${name}z` : `${name}z.first4ch`));
    assertNear(z!.filter((_, i) => i % d < latent.shape[3]!), latent.data, 1e-6, name);
    for (const owner of [sum, ...bits]) owner.dispose();
  }
});

Deno.test("quantiseFeatures() and sumCodes() accept any schedule, even one that does not end at the latent grid", async () => {
  const next = random(61);
  for (
    const [shape, schedule] of [
      [[2, 5, 3, 6], [[1, 1], [2, 7], [3, 2]]],
      [[1, 1, 1, 3], [[1, 1], [1, 1], [2, 2]]],
      [[3, 4, 6, 9], [[4, 6]]],
    ] as [number[], Grid[]][]
  ) {
    const data = values(next, shape.reduce((product, n) => product * n, 1));
    const bits = quantiseFeatures(device, upload("f32", shape, data), schedule);
    const sum = sumCodes(device, bits, schedule, [shape[1]!, shape[2]!]);
    const [z, ...actual] = await device.readAll([sum, ...bits]);
    const means = seen({ shape, data }, schedule, actual);
    const expected = means.map((mean) => Array.from(mean, (v) => Number(v > 0)));
    assertBits(actual, expected, means, `[${shape}]`);
    const total = new Float64Array(data.length);
    schedule.forEach(([h, w], s) => {
      const codes = Float64Array.from(actual[s]!, (bit) => (2 * bit - 1) / Math.sqrt(shape[3]!));
      const scale = { shape: [shape[0]!, h, w, shape[3]!], data: codes };
      resize("linear", scale, shape[1]!, shape[2]!).data.forEach((v, i) => total[i]! += v);
    });
    assertNear(z!, total, 2e-6, `[${shape}] sum`);
  }
});

function synthetic(vae: VaeConfig, on: Device = device): Promise<VaeEncoder> {
  const source = new SyntheticSource({ vae } as ModelConfig, on, "f32");
  return source.open("vae", (weights) => VaeEncoder.load(weights, vae));
}

Deno.test("VaeEncoder gives the same bits in strips, alone and in a batch", async () => {
  for (const [mult, patch_size, h, w] of [[[1, 3, 2], 1, 7, 5], [[2, 1, 3], 4, 5, 3]] as const) {
    const config: VaeConfig = {
      base_ch: 8,
      encoder_ch_mult: mult,
      decoder_ch_mult: mult,
      num_res_blocks: 1,
      patch_size,
      codebook_dim: 6,
      norm_groups: 4,
    };
    const encoder = await synthetic(config);
    const shape = [2, h * patch_size, w * patch_size, 3];
    const data = values(random(3), shape.reduce((product, n) => product * n, 1));
    const images = upload("f32", shape, data);
    const unsplit = await device.read(encoder.encode(images));
    assert(unsplit.every(Number.isFinite));
    assertEquals(unsplit.length, 2 * h * w * 6);
    for (const rows of [1, 2, 5, 1000]) {
      assertEquals(await device.read(encoder.encode(images, rows)), unsplit, `${rows} rows`);
    }
    const second = upload("f32", [1, ...shape.slice(1)], data.subarray(data.length / 2));
    const alone = await device.read(encoder.encode(second));
    assertEquals(unsplit.slice(unsplit.length / 2), alone);
    encoder.dispose();
  }
});

Deno.test("VaeEncoder holds two activations and a strip at 1024 x 1024", async () => {
  using dry = await Device.open({ gpu: dryGpu() });
  const config: VaeConfig = {
    base_ch: 128,
    encoder_ch_mult: [1, 2, 4, 4, 4],
    decoder_ch_mult: [1, 2, 4, 4, 4],
    num_res_blocks: 2,
    patch_size: 16,
    codebook_dim: 32,
  };
  const encoder = await synthetic(config, dry);
  const peak = (size: number) => {
    dry.trim();
    const before = dry.memory.liveBytes;
    dry.memory.resetPeak();
    using image = dry.tensor("f32", [1, size, size, 3]);
    encoder.encode(image).dispose();
    return (dry.memory.peakBytes - before) / 2 ** 20;
  };
  // 128 channels twice, a strip, the image; then features and statistics
  const least = 512 + 512 + 64 + 12;
  const [one, unsplit] = [peak(1024), peak(512)];
  // and parts of convolutions whose pixels are too few for a GPU
  assert(one >= least && one < least + 280, `${one} MiB`);
  assert(4 * unsplit > 2 * one, `${unsplit} MiB, without strips four times as much at 1024`);
});

Deno.test("VaeEncoder frees its memory, and refuses other shapes and checkpoints", async () => {
  const before = device.memory.liveBytes;
  const { config, file } = await golden("vae_patchify");
  const encoder = await VaeEncoder.load(new Weights(device, file, "f32"), config);
  const image = upload("f32", [1, 16, 24, 3], new Float32Array(16 * 24 * 3));
  const features = encoder.encode(image);
  const bits = quantiseFeatures(device, features, [[1, 1], [2, 3]]);
  const sum = sumCodes(device, bits, [[1, 1], [2, 3]], [2, 3]);
  assertEquals(features.shape, [1, 2, 3, 14]);
  for (const owner of [features, image, sum, ...bits, encoder]) owner.dispose();
  assertEquals(device.memory.liveBytes, before);
  for (const shape of [[1, 16, 20, 3], [1, 16, 24, 4], [16, 24, 3], [1, 0, 8, 3]]) {
    assertThrows(
      () => encoder.encode(poisoned("f32", shape)),
      InputError,
      `Cannot encode [${shape}]: the VAE takes [batch, height, width, 3], both sides multiples of 8`,
    );
  }
  const { file: other } = await golden("vae_d16");
  await assertRejects(
    () => VaeEncoder.load(new Weights(device, other, "f32"), config),
    CheckpointError,
  );
});
