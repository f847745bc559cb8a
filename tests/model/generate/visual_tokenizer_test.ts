import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Device,
  FileError,
  InputError,
  OutOfMemoryError,
  type TensorToWrite,
} from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { bitCount, type ImageBits, takeScales } from "../../../model/bits/image_bits.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { psnr } from "../../../model/image/metrics.ts";
import { encodePng, type Image } from "../../../model/image/png.ts";
import { assertNear, device, NEED_CPU, random } from "../../harness.ts";
import { PATCHIFY } from "../checkpoint/patchify_config.ts";
import { NANO } from "../../nano.ts";

const model = await InfinityModel.load(NANO, { device });
const expected = await openTensorFile(new URL("expected.safetensors", NANO).pathname);
const { images: [apple] } = await model.generate({ prompt: "red apple", seed: 7 });

/** The image that the reference encoded, [32, 32, 3] bytes. */
const bytes = await expected.read("vae.image_u8") as Uint8Array;
const rgba = Uint8Array.from(
  { length: 4 * 32 * 32 },
  (_, i) => i % 4 === 3 ? 255 : bytes[Math.floor(i / 4) * 3 + i % 4]!,
);
const reference: Image = { width: 32, height: 32, rgba };

/** An image of random pixels. */
function noise(width: number, height: number, seed: number): Image {
  const next = random(seed);
  const rgba = Uint8Array.from(
    { length: 4 * width * height },
    (_, i) => i % 4 === 3 ? 255 : next() * 256,
  );
  return { width, height, rgba };
}

Deno.test("golden: encode() gives the reference's bits, from pixels, a file, or numbers", async () => {
  const area = 32 * 32;
  const rgb = Float32Array.from(
    { length: 3 * area },
    (_, i) => bytes[i % area * 3 + Math.floor(i / area)]! / 127.5 - 1,
  );
  let trace: TensorToWrite[] = [];
  const made = [
    await model.encode(reference),
    await model.encode(encodePng(rgba, 32, 32)),
    await model.encode({ width: 32, height: 32, rgb }, { trace: (tensors) => trace = tensors }),
  ];
  for (const bits of made) {
    assertEquals(bits.schedule, [[1, 1], [2, 2], [3, 3], [4, 4]]);
    assertEquals([bits.width, bits.height, bits.d, bits.latent], [32, 32, 32, [4, 4]]);
    assertEquals([bits.model, bitCount(bits)], ["emoji-nano", 960]);
    for (const [s, scale] of bits.scales.entries()) {
      assertEquals(scale, await expected.read(`vae.bits.${s}`), `scale ${s}`);
    }
  }
  const names = ["features", "scale0.bits", "scale1.bits", "scale2.bits", "scale3.bits", "z"];
  assertEquals(trace.map(({ name }) => name), names);
  assertEquals(trace.map(({ dtype, shape }) => [dtype, shape]), [
    ["F32", [1, 32, 4, 4]],
    ["U8", [1, 1, 1, 32]],
    ["U8", [1, 2, 2, 32]],
    ["U8", [1, 3, 3, 32]],
    ["U8", [1, 4, 4, 32]],
    ["F32", [1, 32, 4, 4]],
  ]);
  const features = await expected.readFloat32("vae.features");
  assertNear(trace[0]!.data as Float32Array, features, 2e-5, "features");
  assertNear(trace[5]!.data as Float32Array, await expected.readFloat32("vae.codes"), 1e-6, "z");
});

Deno.test("decode() returns exactly the image that was generated with the bits, alone and in a batch", async () => {
  const synthetic = await InfinityModel.synthetic(PATCHIFY, { device });
  for (const [of, prompt] of [[model, ["pizza", "blue car"]], [synthetic, ["a", "b"]]] as const) {
    const { images } = await of.generate({ prompt, seed: 3 });
    const decoded = await of.decode(images.map(({ bits }) => bits));
    for (const [i, image] of images.entries()) {
      assertEquals(decoded[i]!.rgba, image.rgba);
      assertEquals((await of.decode(image.bits)).rgba, image.rgba);
      assertEquals([decoded[i]!.width, decoded[i]!.height], [image.width, image.height]);
    }
    assertEquals(await of.decode([]), []);
    const mixed = await of.decode([takeScales(images[0]!.bits, 1), images[1]!.bits]);
    assertEquals(mixed[1]!.rgba, images[1]!.rgba);
    assertEquals(mixed[0]!.rgba, (await of.decode(takeScales(images[0]!.bits, 1))).rgba);
  }
  synthetic.dispose();
});

Deno.test("decode() of more scales of encode() comes closer to the image", async () => {
  const bits = await model.encode(reference);
  const losses: number[] = [];
  for (let k = 1; k <= 4; k++) {
    losses.push(psnr(await model.decode(takeScales(bits, k)), reference));
  }
  assertEquals(losses, losses.toSorted((a, b) => a - b));
  assert(losses[3]! > 28, `${losses} dB`);
  assertEquals(await model.encode(reference, { scales: 2 }), takeScales(bits, 2));
});

Deno.test({
  name: `golden: encode() on the kernels of the other class of adapter${NEED_CPU}`,
  ignore: device.capabilities.class !== "cpu",
  async fn() {
    using other = await Device.open({ class: "gpu" });
    using twin = await InfinityModel.load(NANO, { device: other, lazy: true });
    assertEquals((await twin.encode(reference)).scales, (await model.encode(reference)).scales);
  },
});

Deno.test({
  name: "encode() in f16 gives 99 % of the bits (needs an adapter with shader-f16)",
  ignore: !device.capabilities.f16,
  fn: async () => {
    const exact = await model.encode(reference);
    using half = await InfinityModel.load(NANO, { device, type: "f16", lazy: true });
    const near = await half.encode(reference);
    let differing = 0;
    near.scales.forEach((scale, s) =>
      scale.forEach((bit, i) => differing += Number(bit !== exact.scales[s]![i]))
    );
    assert(differing <= 9, `${differing} of 960 bits differ`);
  },
});

Deno.test("encode() and decode() fail when memory runs out, and work again afterwards", async () => {
  const live = device.memory.liveBytes;
  const { memory } = device;
  const allocate = memory.allocate.bind(memory);
  let left = 3;
  memory.allocate = (bytes, label, role) => {
    if (left-- === 0) throw new OutOfMemoryError("refused", `Cannot allocate ${label}`);
    return allocate(bytes, label, role);
  };
  try {
    await assertRejects(() => model.encode(reference), OutOfMemoryError);
    left = 3;
    await assertRejects(() => model.decode(apple!.bits), OutOfMemoryError);
  } finally {
    Reflect.deleteProperty(memory, "allocate");
  }
  assertEquals(device.memory.liveBytes, live);
  const bits = await model.encode(reference);
  assertEquals((await model.decode(bits)).width, 32);
});

Deno.test("encode() takes other sizes and schedules, and crops around the centre", async () => {
  const wide = await model.encode(noise(64, 32, 1)); // the model has one shape
  assertEquals([wide.width, wide.height], [32, 32]);
  const odd = await model.encode(noise(50, 31, 2), { schedule: [[1, 1], [2, 5], [3, 6]] });
  assertEquals([odd.width, odd.height, odd.latent], [48, 24, [3, 6]]);
  const again = await model.decode(odd);
  assertEquals([again.width, again.height], [48, 24]);
  const rgb = new Float32Array(3 * 24 * 40);
  const beside = await model.encode({ width: 40, height: 24, rgb }, { schedule: [[1, 1], [2, 2]] });
  assertEquals([beside.latent, beside.scales.map((s) => s.length)], [[3, 5], [32, 128]]);
  assertEquals((await model.decode(beside)).width, 40);
});

Deno.test("encode() and decode() read back once each, and leave no memory behind", async () => {
  await model.encode(reference); // loads the encoder
  const live = device.memory.liveBytes;
  const before = device.readBacks;
  const bits = await model.encode(reference, { trace: () => {} });
  assertEquals(device.readBacks - before, 1);
  await model.decode([bits, bits, bits]);
  assertEquals(device.readBacks - before, 2);
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("encode() and decode() load the VAE alone if lazy, and free it if staged", async () => {
  const parts: string[] = [];
  const onProgress = (part: string) => parts.push(part);
  using lazy = await InfinityModel.load(NANO, { device, lazy: true, onProgress });
  assertEquals((await lazy.decode(await lazy.encode(reference))).width, 32);
  assertEquals(parts, ["vae.safetensors", "vae.safetensors"]);
  const live = device.memory.liveBytes;
  using staged = await InfinityModel.load(NANO, { device, staged: true });
  const bits = await staged.encode(reference);
  // two at once share what is loaded
  const [a, b] = await Promise.all([staged.decode(bits), staged.decode(bits)]);
  assertEquals(a!.rgba, b!.rgba);
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("encode() and decode() refuse bad input in one line and stop at an abort", async () => {
  const bits = await model.encode(reference);
  const refused: [() => Promise<unknown>, string][] = [
    [() => model.encode(reference, { scales: 5 }), "Cannot take 5 scales: the image has 4"],
    [() => model.encode(reference, { scales: 0 }), "Cannot take 0 scales"],
    [() => model.encode(reference, { width: 64 }), "Cannot use width 64 alone"],
    [() => model.encode(reference, { schedule: [] }), "Cannot use an empty schedule"],
    [() => model.encode(reference, { schedule: [[1, 0]] }), "Cannot use a scale of 1x0"],
    [
      () => model.encode({ width: 33, height: 32, rgb: new Float32Array(3 * 33 * 32) }),
      "Cannot make 33x32 pixels",
    ],
    [
      () => model.encode({ width: 33, height: 32, rgb: new Float32Array(9) }),
      "Cannot encode 9 numbers as 33x32 pixels",
    ],
    [
      () =>
        model.encode({ width: 33, height: 32, rgb: new Float32Array(3 * 33 * 32) }, {
          schedule: [[1, 1]],
        }),
      "both sides must be multiples of 8",
    ],
    [
      () => model.encode({ width: 32, height: 32, rgb: new Float32Array(3 * 32 * 32).fill(NaN) }),
      "Cannot encode an image that holds NaN or infinity: its values go from -1 to 1",
    ],
    [
      () =>
        model.decode({
          ...bits,
          d: 16,
          scales: bits.scales.map((scale) => scale.slice(scale.length / 2)),
          name: "x.bits.safetensors",
        }),
      'Cannot decode "x.bits.safetensors" with emoji-nano: it has 16 bits a position',
    ],
    [() => model.decode({ ...bits, latent: [4, 5] }), "Cannot decode"],
    [() => model.decode({ ...bits, scales: bits.scales.slice(1) }), "Cannot decode"],
    [() => model.decode({ ...bits, scales: [...bits.scales, bits.scales[0]!] }), "Cannot decode"],
    [() => model.decode({ ...bits, schedule: [], scales: [] }), "its schedule is [], it must be"],
    [
      () => model.decode({ ...bits, scales: bits.scales.map((s) => s.slice().fill(7)) }),
      "scale 0 holds 7, bits are 0 or 1",
    ],
  ];
  for (const [call, message] of refused) {
    const error = await assertRejects(call, InputError);
    assert(error.message.includes(message), error.message);
    assert(!error.message.includes("\n"), error.message);
  }
  await assertRejects(() => model.encode(new Uint8Array(9)), FileError, "Cannot read");
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  for (
    const call of [
      () => model.encode(reference, { signal }),
      () => model.decode(bits, { signal }),
    ]
  ) {
    assertEquals(await assertRejects(call), reason);
  }
});

Deno.test("encode() fails with no-encoder if the VAE has none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { config } = model;
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    const file = await openTensorFile(new URL("vae.safetensors", NANO).pathname);
    const { encodeSafetensors } = await import("../../../engine/files/safetensors_writer.ts");
    const decoder = [...file.tensors.values()].filter(({ name }) => name.startsWith("decoder."));
    const tensors = await Promise.all(
      decoder.map(async (info) => ({ ...info, data: await file.read(info.name) })),
    );
    file.close();
    await Deno.writeFile(`${folder}/vae.safetensors`, encodeSafetensors(tensors));
    using half = await InfinityModel.load(folder, { device, lazy: true });
    assertEquals((await half.decode(apple!.bits as ImageBits)).rgba, apple!.rgba);
    await assertRejects(
      () => half.encode(reference),
      Error,
      "it has no encoder, so it cannot read images; use the complete VAE",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
