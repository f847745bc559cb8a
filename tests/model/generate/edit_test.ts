import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { type ImageBits, takeScales } from "../../../model/bits/image_bits.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import type { Result } from "../../../model/generate/images.ts";
import type { GenerateOptions } from "../../../model/generate/options.ts";
import { planGeneration } from "../../../model/generate/plan_generation.ts";
import { encodePng, type Image } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { device } from "../../harness.ts";
import { PATCHIFY } from "../checkpoint/patchify_config.ts";
import { NANO } from "../../nano.ts";

const model = await InfinityModel.load(NANO, { device });
const patched = await InfinityModel.synthetic(PATCHIFY, { device });
const sheet = await openTensorFile(new URL("expected.safetensors", NANO).pathname);
const bytes = await sheet.read("vae.image_u8") as Uint8Array;

/** An image from the training set of emoji-nano's VAE. */
const image: Image = {
  width: 32,
  height: 32,
  rgba: Uint8Array.from(
    { length: 4096 },
    (_, i) => i % 4 === 3 ? 255 : bytes[Math.floor(i / 4) * 3 + i % 4]!,
  ),
};

/** A mask that is white where `inside` returns true. */
function mask(
  width: number,
  height: number,
  inside: (row: number, col: number) => boolean,
): Image {
  const rgba = new Uint8Array(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    if (!inside(Math.floor(i / width), i % width)) rgba.fill(0, 4 * i, 4 * i + 3);
  }
  return { width, height, rgba };
}

/** The sum of codes [d, H, W] that the decoder received. */
function codes(result: Result): Float32Array {
  const last = result.trace.filter(({ name }) => name.endsWith("codes_sum")).at(-1)!;
  return last.data as Float32Array;
}

Deno.test("edit() at strength 0 gives the reconstruction, bit for bit", async () => {
  const bits = await model.encode(image);
  const reconstruction = await model.decode(bits);
  for (const init of [image, encodePng(image.rgba, 32, 32), bits]) {
    const { images: [same] } = await model.edit(init, { prompt: "pizza", strength: 0, tau: 3 });
    assertEquals(same!.rgba, reconstruction.rgba);
    assertEquals(same!.bits.scales, bits.scales);
  }
});

Deno.test("edit() keeps the first scales and generates the others from the seed and the prompt", async () => {
  const bits = await model.encode(image);
  const options: GenerateOptions = { prompt: "blue car", seed: 4, tau: 2 };
  for (
    const [given, kept] of [
      [{ keepScales: 0 }, 0],
      [{ keepScales: 3 }, 3],
      [{ strength: 0.25 }, 3],
      [{ strength: 0.3 }, 2], // rounded up: two scales are sampled
      [{}, 1], // 0.75
      [{ strength: 1 }, 0],
    ] as const
  ) {
    const { images } = await model.edit(bits, { ...options, ...given, batchCount: 2 });
    for (const image of images) {
      const first = bits.scales.slice(0, kept);
      assertEquals(image.bits.scales.slice(0, kept), first, JSON.stringify(given));
      assertNotEquals(image.bits.scales.slice(kept), bits.scales.slice(kept));
      assert(image.parameters.includes(`Kept scales: ${kept}`), image.parameters);
    }
    assertNotEquals(images[0]!.bits.scales, images[1]!.bits.scales);
    const { images: [alone] } = await model.edit(bits, { ...options, ...given, seed: 5 });
    assertEquals(alone!.rgba, images[1]!.rgba, "alone as in a batch");
  }
  const free = await model.generate(options);
  const all = await model.edit(bits, { ...options, strength: 1 });
  assertEquals(all.images[0]!.rgba, free.images[0]!.rgba, "strength 1 keeps nothing");
});

Deno.test("edit() keeps the codes outside a mask exactly and samples those inside", async () => {
  const cases: [InfinityModel, Image | ImageBits, Image][] = [
    [model, image, mask(32, 32, (_, col) => col >= 16)],
    [model, image, mask(32, 32, (row, col) => row < 24 && col > 5 && col < 30)],
    [model, await model.encode(image), mask(32, 32, (row, col) => row < 8 || col < 8)],
    [
      patched,
      { width: 12, height: 8, rgba: image.rgba.slice(0, 4 * 96) },
      mask(12, 8, (r) => r < 5),
    ],
  ];
  for (const [of, init, area] of cases) {
    const source = "scales" in init ? init : await of.encode(init);
    const { latent: [H, W], d } = source;
    const options: GenerateOptions = { prompt: "blue car", seed: 3, tau: 3, trace: true };
    const before = codes(await of.edit(source, { ...options, strength: 0 }));
    const edited = await of.edit(init, { ...options, mask: area });
    const after = codes(edited);
    const p = source.height / H;
    const inside = (row: number, col: number) => {
      let white = 0;
      for (let y = 0; y < p; y++) {
        for (let x = 0; x < p; x++) {
          white += Number(area.rgba[4 * ((row * p + y) * area.width + col * p + x)] === 255);
        }
      }
      return 2 * white >= p * p;
    };
    let changed = 0;
    for (let i = 0; i < d * H * W; i++) {
      const [row, col] = [Math.floor(i / W) % H, i % W];
      if (inside(row, col)) changed += Number(after[i] !== before[i]);
      else assertEquals(after[i], before[i], `position ${row}, ${col}`);
    }
    assert(changed > d, `${changed} numbers changed inside`);
    assertEquals((await of.decode(edited.images[0]!.bits)).rgba, edited.images[0]!.rgba);
    assert(edited.images[0]!.parameters.includes("Masked: True"));
  }
});

Deno.test("edit() samples everything under a white mask, except in the scales that are kept", async () => {
  const white = mask(32, 32, () => true);
  const options: GenerateOptions = { prompt: "dog face", seed: 8, tau: 2 };
  const { images: [all] } = await model.edit(image, { ...options, mask: white });
  assertEquals(all!.rgba, (await model.generate(options)).images[0]!.rgba);
  const { images: [late] } = await model.edit(image, { ...options, mask: white, keepScales: 2 });
  const { images: [same] } = await model.edit(image, { ...options, keepScales: 2 });
  assertEquals(late!.rgba, same!.rgba);
  const { images: [none] } = await model.edit(image, { ...options, mask: white, strength: 0 });
  assertEquals(none!.rgba, (await model.decode(await model.encode(image))).rgba);
  // a mask is resized and cropped like its image
  const wide = { width: 64, height: 32, rgba: new Uint8Array(4 * 2048).fill(90) };
  const right = mask(64, 32, (_, col) => col >= 32);
  const { images: [half] } = await model.edit(wide, { ...options, mask: right, trace: true });
  const source = await model.encode(wide);
  const last = half!.bits.scales[3]!;
  for (let i = 0; i < last.length; i++) {
    if (Math.floor(i / 32) % 4 < 2) assertEquals(last[i], source.scales[3]![i]);
  }
  assertNotEquals(last, source.scales[3]!);
});

Deno.test("edit() streams, and computes no more than the edit needs", async () => {
  const bits = await model.encode(image);
  const dispatches = async (edit: GenerateOptions) => {
    const before = device.counters.dispatches;
    for await (const step of model.stream({ prompt: "cat", ...edit })) void step;
    return device.counters.dispatches - before;
  };
  const [none, half, all] = [
    await dispatches({ init: bits, strength: 0 }),
    await dispatches({ init: bits, strength: 0.5 }),
    await dispatches({}),
  ];
  assert(2 * none < all, `${none} of ${all}: no scale is sampled`);
  assertEquals(half, all + 2, "the bits of two scales are forced");
  // an image of which nothing is kept is not encoded
  assertEquals(await dispatches({ init: image, strength: 1 }), all);
  assert(await dispatches({ init: image, strength: 0.5 }) > half);
});

Deno.test("edit() refuses in one line", async () => {
  const bits = await model.encode(image);
  const white = mask(32, 32, () => true);
  const refused: [GenerateOptions, string][] = [
    [{ init: image, strength: 1.5 }, "Cannot use strength 1.5: it must be from 0 to 1"],
    [{ init: image, strength: NaN }, "Cannot use strength NaN"],
    [{ init: image, keepScales: 5 }, "Cannot keep 5 scales: the schedule has 4"],
    [{ init: image, keepScales: 1.5 }, "Cannot keep 1.5 scales: give a whole number"],
    [{ init: image, keepScales: 1, strength: 1 }, "Cannot use both strength and keepScales"],
    [{ mask: white }, "Cannot use mask without an image to start from"],
    [{ strength: 0.5 }, "Cannot use strength without an image to start from"],
    [{ init: image, mask: mask(31, 32, () => true) }, "Cannot use a mask of 31x32 pixels"],
    [
      { init: image, mask: mask(32, 32, () => false) },
      "Cannot edit: the white part of the mask",
    ],
    [
      { init: image, mask: mask(32, 32, (r, c) => r < 9 && c < 4 && r > 5) },
      "the white part of the mask covers no position",
    ],
    [{ init: image, forceBits: [] }, "Cannot use both init and forceBits"],
    [{ init: { ...bits, latent: [4, 5] } }, 'Cannot decode "bits" with emoji-nano'],
    [{ init: { ...bits, d: 16 } }, 'Cannot decode "bits": scale 0 has 32 bits'],
    [
      { init: image, mask: { ...image, rgba: undefined, rgb: new Float32Array(3072) } as never },
      "Cannot mask with floats: give 8-bit RGBA, or the bytes of a file",
    ],
    [{ init: takeScales(bits, 2), strength: 0.25 }, "have 2 scales, the edit keeps 3"],
    [{ init: takeScales(bits, 3), mask: white }, "have 3 scales, a mask needs all 4"],
    [
      { init: { ...bits, name: "x", schedule: [[1, 1], [2, 2], [2, 2], [4, 4]] }, strength: 0 },
      'Cannot decode "x": scale 2 has 288 bits',
    ],
    [
      { init: { ...takeScales(bits, 3), name: "x" }, schedule: [[1, 1], [2, 2], [4, 4]] },
      'Cannot edit "x": it has the scales 1x1,2x2,3x3 of 4x4 positions, the requested schedule is ' +
      "1x1,2x2,4x4",
    ],
  ];
  const live = device.memory.liveBytes;
  for (const [options, message] of refused) {
    const call = () => model.generate({ prompt: "cat", ...options });
    const error = await assertRejects(call, InputError);
    assert(error.message.includes(message), `${error.message} is not: ${message}`);
    assert(!error.message.includes("\n"), error.message);
  }
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("planGeneration() and generate() decode an open image once", async () => {
  const { images: [apple] } = await model.generate("red apple", { seed: 3 });
  const file = apple!.toPng();
  const options = { prompt: "green apple", init: await openImage(file, "apple"), strength: 0.5 };
  await planGeneration(model.config, options);
  file.fill(0); // nothing looks at it again
  const { images: [edited] } = await model.generate({ ...options, seed: 5 });
  const again = await model.edit(apple!.toPng(), { prompt: "green apple", strength: 0.5, seed: 5 });
  assertEquals(again.images[0]!.rgba, edited!.rgba);
});
