import { assert, assertEquals } from "@std/assert";
import { Device, dryGpu } from "../../../engine/mod.ts";
import type { ModelConfig, VaeConfig } from "../../../model/config/types.ts";
import { SyntheticSource } from "../../../model/parts/synthetic.ts";
import { VaeDecoder } from "../../../model/vae/vae.ts";
import { assertNear, device, random, upload, values } from "../../harness.ts";

/** A decoder with random weights. */
function synthetic(
  vae: VaeConfig,
  on: Device = device,
  type: "f32" | "f16" = "f32",
): Promise<VaeDecoder> {
  const source = new SyntheticSource({ vae } as ModelConfig, on, type);
  return source.open("vae", (weights) => VaeDecoder.load(weights, vae));
}

/** A device that chooses the kernels of a GPU, whose bindings hold `limit` bytes. */
async function gpu(limit: number = Infinity): Promise<Device> {
  const on = await Device.open({ class: "gpu" });
  const { capabilities } = on;
  const { maxStorageBufferBindingSize: most = 0 } = capabilities.limits;
  const limits = { ...capabilities.limits, maxStorageBufferBindingSize: Math.min(most, limit) };
  return Object.assign(on, { capabilities: { ...capabilities, limits } });
}

function vae(mult: number[], patch_size: number): VaeConfig {
  return {
    base_ch: 8,
    encoder_ch_mult: mult,
    decoder_ch_mult: mult,
    num_res_blocks: 1,
    patch_size,
    codebook_dim: 6,
    norm_groups: 4,
  };
}

/** Channels that shrink and grow, with images of odd height; then the official shape. */
for (
  const [config, h, w] of [
    [vae([1, 3, 2], 1), 7, 5],
    [vae([2, 1, 3], 2), 19, 3],
    [vae([1, 2, 4, 4], 8), 3, 5],
  ] as const
) {
  const name = `[${config.decoder_ch_mult}] by ${config.patch_size}`;
  Deno.test(`VaeDecoder gives the same bits in strips: ${name}`, async () => {
    const decoder = await synthetic(config);
    const codes = upload("f32", [2, h, w, 6], values(random(2), 2 * h * w * 6));
    const unsplit = await device.read(decoder.decode(codes));
    assert(unsplit.every(Number.isFinite));
    for (const rows of [1, 2, 3, 5, 16, 1000]) {
      for (const imagesPerPass of [1, 2]) {
        const strips = await device.read(decoder.decode(codes, imagesPerPass, rows));
        assertEquals(strips, unsplit, `${rows} rows, ${imagesPerPass} images`);
      }
    }
    decoder.dispose();
  });
}

for (const type of ["f32", "f16"] as const) {
  Deno.test(`VaeDecoder gives the same bits in strips and in a batch as on a GPU in ${type}`, async () => {
    using on = await gpu();
    const decoder = await synthetic(vae([1, 2, 4, 4], 8), on, type);
    const data = Float32Array.from(values(random(5), 2 * 3 * 5 * 6));
    const codes = on.from("f32", [2, 3, 5, 6], data);
    const unsplit = await on.read(decoder.decode(codes)) as Float32Array<ArrayBuffer>;
    assert(unsplit.every(Number.isFinite));
    for (const rows of [1, 3, 16]) {
      assertEquals(await on.read(decoder.decode(codes, 2, rows)), unsplit, `${rows} rows`);
    }
    const second = on.from("f32", [1, 3, 5, 6], data.slice(data.length / 2));
    const alone = await on.read(decoder.decode(second));
    assertEquals(alone, unsplit.slice(unsplit.length / 2));
    decoder.dispose();
  });

  Deno.test(`VaeDecoder keeps an image of ${type} in bands where a binding is small`, async () => {
    const config = vae([1, 2, 4, 4], 8);
    const data = Float32Array.from(values(random(6), 5 * 16 * 6));
    const decode = async (limit: number, rows?: number): Promise<Float32Array> => {
      using on = await gpu(limit);
      const decoder = await synthetic(config, on, type);
      const codes = on.from("f32", [1, 5, 16, 6], data);
      const { tensor } = on;
      on.tensor = (...args) => {
        const made = tensor.apply(on, args);
        assert(made.byteLength <= limit, `${args[2]} of ${made.byteLength} bytes`);
        return made;
      };
      const image = await on.read(decoder.decode(codes, 1, rows)) as Float32Array;
      decoder.dispose();
      return image;
    };
    const whole = await decode(Infinity);
    // activations have 40 x 128 pixels of 16 channels and of half the size with 32
    const [three, strips] = [await decode(120_000), await decode(120_000, 2)];
    assertEquals(strips, three);
    // statistics of bands are added in another order
    assertNear(three, whole, { f32: 1e-5, f16: 2e-3 }[type]);
    assertNear(await decode(70_000), whole, { f32: 1e-5, f16: 2e-3 }[type]);
  });
}

/** The VAE of the 2B model. */
const OFFICIAL: VaeConfig = {
  base_ch: 128,
  encoder_ch_mult: [1, 2, 4, 4, 4],
  decoder_ch_mult: [1, 2, 4, 4, 4],
  num_res_blocks: 2,
  patch_size: 16,
  codebook_dim: 32,
};

/**
 * MiB that decoding [batch, size / 16, size / 16, 32] holds at most without weights, on a GPU that computes nothing.
 */
async function decodePeak(
  batch: number,
  size: number,
  type: "f32" | "f16" = "f32",
): Promise<number> {
  using dry = await Device.open({ gpu: dryGpu() });
  const decoder = await synthetic(OFFICIAL, dry, type);
  dry.trim();
  const before = dry.memory.liveBytes;
  dry.memory.resetPeak();
  const codes = dry.tensor("f32", [batch, size / 16, size / 16, 32]);
  const images = decoder.decode(codes);
  assertEquals(images.shape, [batch, size, size, 3]);
  return (dry.memory.peakBytes - before) / 2 ** 20;
}

/** MiB of the parts of convolutions whose pixels are too few for a GPU. */
const PARTS = 32;

Deno.test("VaeDecoder holds two activations and a strip at 1024 x 1024", async () => {
  // 256 and 128 channels, a strip, the image; then codes and statistics
  const least = 1024 + 512 + 64 + 12;
  const one = await decodePeak(1, 1024);
  assert(one >= least && one < least + PARTS, `${one} MiB`);
  const unsplit = await decodePeak(1, 512);
  assert(4 * unsplit > 2.5 * one, "a decode without strips would hold much more");
  const three = await decodePeak(3, 1024);
  assert(three >= one + 3 * 12 && three < one + 3 * 12 + 8, `${three} MiB`);
  // what norms and convolutions pass on is half as large, the sum of blocks is not; a strip of it is one more
  const half = await decodePeak(1, 1024, "f16");
  assert(half >= least - 256 + 64 && half < least - 256 + 64 + PARTS, `${half} MiB`);
});

Deno.test("VaeDecoder decodes 2048 x 2048 although its activations exceed a binding", async () => {
  const four = 4 * (1024 + 512 + 12);
  const f32 = await decodePeak(1, 2048);
  assert(f32 >= four && f32 < four + 64 + 2 * PARTS, `${f32} MiB`);
  const f16 = await decodePeak(1, 2048, "f16");
  assert(f16 < f32 - 900, `${f16} MiB`);
});

Deno.test("VaeDecoder holds as much on a GPU as on one that computes nothing", async () => {
  const config = { ...OFFICIAL, base_ch: 32 };
  const peaks: number[] = [];
  using dry = await Device.open({ gpu: dryGpu(device.capabilities.class === "cpu") });
  for (const on of [device, dry]) {
    const decoder = await synthetic(config, on);
    for (const rowsPerStrip of [undefined, 8]) {
      on.trim();
      const before = on.memory.liveBytes;
      on.memory.resetPeak();
      const codes = on.tensor("f32", [2, 4, 4, 32]);
      for (const owner of [decoder.decode(codes, 2, rowsPerStrip), codes]) owner.dispose();
      await on.finish();
      assertEquals(on.memory.liveBytes, before);
      peaks.push(on.memory.peakBytes - before);
    }
    decoder.dispose();
  }
  const [unsplit = 0, strips = 0, dryUnsplit = 0, dryStrips = 0] = peaks;
  // kernel parameters are aligned differently
  assert(
    Math.abs(dryUnsplit / unsplit - 1) < 0.01 && Math.abs(dryStrips / strips - 1) < 0.01,
    `${peaks}`,
  );
  // in so small a model, the parts of convolutions that a GPU splits weigh as much as activations
  const most = device.capabilities.class === "gpu" ? 0.7 * unsplit : unsplit / 2;
  assert(strips < most, `${strips} bytes in strips, ${unsplit} without`);
});
