import { assert, assertEquals } from "@std/assert";
import { Device, dryGpu } from "../../../engine/mod.ts";
import type { ModelConfig, VaeConfig } from "../../../model/config/types.ts";
import { SyntheticSource } from "../../../model/parts/synthetic.ts";
import { VaeDecoder } from "../../../model/vae/vae.ts";
import { device, random, upload, values } from "../../harness.ts";

/** A decoder with random weights. */
function synthetic(vae: VaeConfig, on: Device = device): Promise<VaeDecoder> {
  const source = new SyntheticSource({ vae } as ModelConfig, on, "f32");
  return source.open("vae", (weights) => VaeDecoder.load(weights, vae));
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

/** The VAE of the 2B model. */
const OFFICIAL: VaeConfig = {
  base_ch: 128,
  encoder_ch_mult: [1, 2, 4, 4, 4],
  decoder_ch_mult: [1, 2, 4, 4, 4],
  num_res_blocks: 2,
  patch_size: 16,
  codebook_dim: 32,
};

/** MiB that decoding [batch, size / 16, size / 16, 32] holds at most without weights, on a GPU that computes nothing. */
async function decodePeak(batch: number, size: number, rowsPerStrip?: number): Promise<number> {
  using dry = await Device.open({ gpu: dryGpu() });
  const decoder = await synthetic(OFFICIAL, dry);
  dry.trim();
  const before = dry.memory.liveBytes;
  dry.memory.resetPeak();
  const codes = dry.tensor("f32", [batch, size / 16, size / 16, 32]);
  const images = decoder.decode(codes, undefined, rowsPerStrip);
  assertEquals(images.shape, [batch, size, size, 3]);
  return (dry.memory.peakBytes - before) / 2 ** 20;
}

Deno.test("VaeDecoder holds two activations and a strip at 1024 x 1024", async () => {
  // 256 and 128 channels, a strip, the image; then codes and statistics
  const least = 1024 + 512 + 64 + 12;
  const one = await decodePeak(1, 1024);
  assert(one >= least && one < least + 8, `${one} MiB`);
  const unsplit = await decodePeak(1, 512);
  assert(4 * unsplit > 3 * one, "a decode without strips would hold three times as much");
  const three = await decodePeak(3, 1024);
  assert(three >= one + 3 * 12 && three < one + 3 * 12 + 8, `${three} MiB`);
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
  assert(strips < unsplit / 2, `${strips} bytes in strips, ${unsplit} without`);
});
