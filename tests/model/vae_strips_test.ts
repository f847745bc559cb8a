import { assert, assertEquals } from "@std/assert";
import type { VaeConfig } from "../../model/vae.ts";
import { decodeBytes, needsStrips } from "../../model/vae_memory.ts";
import { device, random, upload, values } from "../kernels/harness.ts";
import { randomVae } from "./random_vae.ts";

function vae(mult: number[], patch_size: number, base_ch: number = 8): VaeConfig {
  return {
    base_ch,
    encoder_ch_mult: mult,
    decoder_ch_mult: mult,
    num_res_blocks: 1,
    patch_size,
    codebook_dim: 6,
    norm_groups: 4,
  };
}

/** Channels that shrink and grow, with pictures of odd height; then the official shape. */
for (
  const [config, h, w] of [
    [vae([1, 3, 2], 1), 7, 5],
    [vae([2, 1, 3], 2), 19, 3],
    [vae([1, 2, 4, 4], 8), 3, 5],
  ] as const
) {
  const name = `[${config.decoder_ch_mult}] by ${config.patch_size}`;
  Deno.test(`VaeDecoder gives the same bits in strips: ${name}`, async () => {
    const decoder = await randomVae(config);
    const codes = upload("f32", [2, h, w, 6], values(random(2), 2 * h * w * 6));
    const whole = await device.read(decoder.decode(codes));
    assert(whole.every(Number.isFinite));
    for (const rows of [1, 2, 3, 5, 16, 1000]) {
      for (const imagesPerPass of [1, 2]) {
        const strips = await device.read(decoder.decode(codes, imagesPerPass, rows));
        assertEquals(strips, whole, `${rows} rows, ${imagesPerPass} images`);
      }
    }
    decoder.dispose();
  });
}

Deno.test("VaeDecoder takes the memory that is planned for it", async () => {
  const config = vae([1, 2, 4], 4, 32);
  const decoder = await randomVae(config);
  const codes = upload("f32", [2, 32, 32, 6], values(random(3), 2 * 32 * 32 * 6));
  const peaks: number[] = [];
  for (const rowsPerStrip of [undefined, 8]) {
    device.trim();
    const before = device.memory.liveBytes;
    device.memory.resetPeak();
    decoder.decode(codes, 2, rowsPerStrip).dispose();
    await device.finish();
    assertEquals(device.memory.liveBytes, before);
    const peak = device.memory.peakBytes - before;
    const planned = decodeBytes(config, 32, 32, { batch: 2, rowsPerStrip });
    assert(Math.abs(peak / planned - 1) < 0.05, `${peak} bytes, planned ${planned}`);
    peaks.push(peak);
  }
  assert(peaks[1]! < peaks[0]! / 2, `${peaks}`);
  decoder.dispose();
});

Deno.test("VaeDecoder decodes in strips what would take gigabytes", () => {
  const config: VaeConfig = {
    base_ch: 128,
    encoder_ch_mult: [1, 2, 4, 4, 4],
    decoder_ch_mult: [1, 2, 4, 4, 4],
    num_res_blocks: 2,
    patch_size: 16,
    codebook_dim: 32,
  };
  assertEquals([16, 32, 64].map((n) => needsStrips(config, n, n)), [false, false, true]);
  const MiB = 2 ** 20;
  // 256 and 128 channels at 1024 x 1024, a strip, the picture
  assertEquals(decodeBytes(config, 64, 64), (1024 + 512 + 64 + 12) * MiB);
  assert(decodeBytes(config, 64, 64, { batch: 3 }) === (1024 + 512 + 64 + 48) * MiB);
});
