import { assert, assertEquals } from "@std/assert";
import type { Tensor } from "../../../../../engine/mod.ts";
import type { Grid } from "../../../../../model/config/grid.ts";
import { selfCorrection, type SelfCorrectionOptions } from "../../../../../model/training/mod.ts";
import { tokensOfBits } from "../../../../../model/bits/image_bits.ts";
import { golden } from "../../../../goldens.ts";
import { assertTensor, device, random, upload, values } from "../../../../kernels/harness.ts";
import { channelsLast } from "../../../../kernels/images.ts";

type Bits = Uint8Array<ArrayBuffer>;

const GOLDEN = await golden("bsc");

/** The options of a golden case, with its flips. */
function options(name: string): SelfCorrectionOptions {
  const { config, has, tensor } = GOLDEN;
  const how = config[name];
  const patchify = Boolean(how.apply_spatial_patchify);
  const schedule = (how.scale_schedule as number[][]).map(([, h, w]): Grid => [h!, w!]);
  const h = channelsLast(tensor(`${name}.h`));
  const masks = schedule.flatMap((_, s): Tensor[] => {
    if (!has(`${name}.flip_mask${s}`)) return [];
    const { shape, data } = tensor<Bits>(`${name}.flip_mask${s}`);
    const [B, height, width, d] = shape as [number, number, number, number];
    const count = height * width * d;
    const tokens = Array.from({ length: B }, (_, b) => [
      ...tokensOfBits(data.subarray(b * count, (b + 1) * count), [height, width], d, patchify),
    ]);
    const side = patchify ? 4 : 1;
    return [upload("u32", [B, height * width / side, d * side], tokens.flat())];
  });
  return {
    features: upload("f32", h.shape, h.data),
    schedule,
    patchify,
    strength: how.noise_apply_strength,
    layers: how.noise_apply_layers,
    requantise: Boolean(how.noise_apply_requant),
    random: { seed: 1, step: 0 },
    masks,
  };
}

for (const name of Object.keys(GOLDEN.config)) {
  Deno.test(`golden: selfCorrection() makes the official inputs and bits of "${name}"`, async () => {
    const { tensor } = GOLDEN;
    const { inputs, bits } = selfCorrection(device, options(name));
    const expected = tensor<Bits>(`${name}.gt_bits`);
    assertEquals(bits.shape, expected.shape);
    assertEquals([...await device.read(bits)], [...expected.data]);
    const official = tensor(`${name}.x_BLC_wo_prefix`);
    assertEquals(inputs.shape, official.shape);
    await assertTensor(inputs, official.data, 2e-6, name);
  });
}

Deno.test("selfCorrection() of the first scales makes the beginning of what all scales make", async () => {
  const all = options("layers3");
  const some = { ...all, schedule: all.schedule.slice(0, 4) };
  const [whole, part] = [selfCorrection(device, all), selfCorrection(device, some)];
  const tokens = some.schedule.reduce((sum, [h, w]) => sum + h * w, 0);
  const [bits, inputs, fewer, shorter] = await device.readAll([
    whole.bits,
    whole.inputs,
    part.bits,
    part.inputs,
  ]);
  assertEquals(fewer, bits!.slice(0, tokens * 16));
  assertEquals(shorter, inputs!.slice(0, (tokens - 1) * 16));
});

Deno.test("selfCorrection() flips at random: the same again, other bits in another step", async () => {
  const next = random(81);
  const shape = [2, 6, 5, 8];
  const options: SelfCorrectionOptions = {
    features: upload("f32", shape, values(next, 480)),
    schedule: [[1, 1], [2, 3], [6, 5]],
    patchify: false,
    strength: 0.5,
    random: { seed: 9, step: 4 },
  };
  const read = async (change: Partial<SelfCorrectionOptions> = {}) => {
    const { inputs, bits } = selfCorrection(device, { ...options, ...change });
    return (await device.readAll([inputs, bits])).map((data) => [...data]);
  };
  const [inputs, bits] = await read();
  assertEquals(await read(), [inputs, bits]);
  const [other, targets] = await read({ random: { seed: 9, step: 5 } });
  assert(other!.some((v, i) => v !== inputs![i]) && targets!.some((bit, i) => bit !== bits![i]));
  const [clean, right] = await read({ strength: 0 });
  assertEquals(await read({ layers: 0 }), [clean, right]);
  assertEquals(await read({ requantise: false }), [clean, right]);
  // the first scale's bits are those before its flips
  for (const b of [0, 1]) {
    const own = (all: number[]) => all.slice(b * 37 * 8, b * 37 * 8 + 8);
    assertEquals(own(bits!), own(right!));
  }
});

Deno.test("selfCorrection() leaves a share of the images without mistakes", async () => {
  const next = random(82);
  const shape = [12, 4, 4, 16], each = 20 * 16;
  const options: SelfCorrectionOptions = {
    features: upload("f32", shape, values(next, 12 * 256)),
    schedule: [[1, 1], [2, 2], [4, 4]],
    patchify: false,
    strength: 0.4,
    random: { seed: 9, step: 4 },
  };
  const inputs = async (change: Partial<SelfCorrectionOptions>) => {
    const made = selfCorrection(device, { ...options, ...change });
    const read = [...await device.read(made.inputs)];
    made.inputs.dispose();
    made.bits.dispose();
    return Array.from({ length: 12 }, (_, b) => read.slice(b * each, (b + 1) * each).join());
  };
  const clean = await inputs({ strength: 0 }), all = await inputs({});
  const some = await inputs({ share: 0.5 });
  assert(some.every((image, b) => image === clean[b] || image === all[b]));
  // a small strength may flip none, too
  const flipped = (images: string[]) => images.filter((image, b) => image !== clean[b]).length;
  assert(flipped(some) > 0 && flipped(some) < flipped(all), `${flipped(some)}, ${flipped(all)}`);
});
