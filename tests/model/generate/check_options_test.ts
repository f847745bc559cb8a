import { assert, assertEquals, assertRejects } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { planMemory } from "../../../model/memory_plan.ts";
import type { Image } from "../../../model/image/png.ts";

const model = await InfinityModel.load();
const { images: [apple] } = await model.generate("red apple");
const bits = apple!.bits;
const rgba = new Uint8Array(4 * 32 * 32);
const TEXT = { features: new Float32Array(128), width: 128, lens: [1] };

type Case = [name: string, call: (model: Untyped) => Promise<unknown>, message: string];

/** Calls as JavaScript makes them, and the beginning of the message they end with. */
const REFUSED: Case[] = [
  [
    "generate({ greedy: 'false' })",
    (m) => m.generate("cat", { greedy: "false" }),
    'Cannot use "false" as greedy: it must be true or false',
  ],
  [
    "generate({ prompt: 5 })",
    (m) => m.generate({ prompt: 5 }),
    "Cannot use 5 as prompt: it must be a string or a list of strings",
  ],
  ["generate(5)", (m) => m.generate(5), "Cannot use 5 as options: give an object"],
  ["generate(null)", (m) => m.generate(null), "Cannot use null as options: give an object"],
  [
    "stream(null)",
    (m) => m.stream(null).next(),
    "Cannot use null as options: give an object",
  ],
  [
    "generate({ cfg: 3 })",
    (m) => m.generate("cat", { cfg: 3 }),
    "Unknown option cfg: did you mean cfgScale?",
  ],
  [
    "generate({ negative_prompt })",
    (m) => m.generate("cat", { negative_prompt: "dog" }),
    "Unknown option negative_prompt: did you mean negativePrompt?",
  ],
  [
    "stream({ sede: 3 })",
    (m) => m.stream("cat", { sede: 3 }).next(),
    "Unknown option sede: did you mean seed?",
  ],
  [
    "generate({ toString })",
    (m) => m.generate("cat", { toString: 1 }),
    "Unknown option toString: there are prompt, ",
  ],
  [
    "generate({ width: '32' })",
    (m) => m.generate("cat", { width: "32" }),
    'Cannot use "32" as width: it must be a number',
  ],
  [
    "generate({ fast: 'kv' })",
    (m) => m.generate("cat", { fast: "kv" }),
    'Cannot use "kv" as fast: it must be a list of kv, prune',
  ],
  [
    "generate({ signal: controller })",
    (m) => m.generate("cat", { signal: new AbortController() }),
    "Cannot use an AbortController as signal: it must be an AbortSignal",
  ],
  [
    "generate({ forceBits: 3s })",
    (m) => m.generate("cat", { forceBits: [Uint8Array.of(3)] }),
    "Cannot use [a Uint8Array] as forceBits: it must be a list of Uint8Array of 0, 1 or 2",
  ],
  [
    "generate({ textFeatures }) without lens",
    (m) => m.generate({ textFeatures: { features: new Float32Array(8), width: 8 } }),
    "Cannot use an Object as textFeatures: it must be { features, width, lens }",
  ],
  [
    // a plan would hide every other option
    "generate({ plan })",
    (m) => m.generate("cat", { plan: {} }),
    "Unknown option plan: there are prompt, ",
  ],
  [
    "generate(prompt, { prompt })",
    (m) => m.generate("red apple", { prompt: "banana" }),
    "Cannot use two values of prompt: give one",
  ],
  [
    "stream(options, options)",
    (m) => m.stream({ prompt: "red apple" }, { seed: 3 }).next(),
    "Cannot use two objects with options: give one",
  ],
  [
    "edit(image, { init })",
    (m) => m.edit(bits, { prompt: "cat", init: bits }),
    "Cannot use two values of init: give one",
  ],
  [
    "generate({ schedule, width, height })",
    (m) => m.generate("cat", { schedule: bits.schedule, width: 32, height: 32 }),
    "Cannot use both schedule and width: give one of them",
  ],
  [
    "edit({ schedule, height })",
    (m) => m.edit(bits, { prompt: "cat", schedule: bits.schedule, height: 32 }),
    "Cannot use both schedule and height: give one of them",
  ],
  [
    "encode({ schedule, width })",
    (m) => m.encode({ width: 32, height: 32, rgba }, { schedule: bits.schedule, width: 32 }),
    "Cannot use both schedule and width: give one of them",
  ],
  [
    "planMemory({ schedule, width })",
    (m) => planMemory(m.config, { schedule: bits.schedule, width: 32 }),
    "Cannot use both schedule and width: give one of them",
  ],
  [
    "generate({ prompt, textFeatures })",
    (m) => m.generate("cat", { textFeatures: TEXT }),
    "Cannot use both prompt and textFeatures: give one of them",
  ],
  [
    "generate({ negativePrompt, negativeFeatures })",
    (m) => m.generate("cat", { negativePrompt: "dog", negativeFeatures: TEXT }),
    "Cannot use both negativePrompt and negativeFeatures: give one of them",
  ],
  [
    "generate({ seed: 2 ** 53 })",
    (m) => m.generate("cat", { seed: 2 ** 53 }),
    "Cannot use seed 9007199254740992: give one beyond 2^53 as a bigint",
  ],
  [
    "generate({ seed: 0.5 })",
    (m) => m.generate("cat", { seed: 0.5 }),
    "Cannot use seed 0.5: it must be a whole number",
  ],
  [
    "encode(path)",
    (m) => m.encode("cat.png"),
    'Cannot encode "cat.png": read the file first, and give its bytes',
  ],
  ["encode(blob)", (m) => m.encode(new Blob()), "Cannot encode Blob: give the bytes of a PNG"],
  [
    "encode() of an object without a prototype",
    (m) => m.encode(Object.create(null)),
    "Cannot encode Object: give the bytes of a PNG",
  ],
  ["encode()", (m) => m.encode(undefined), "Cannot encode undefined: give the bytes of a PNG"],
  [
    "encode({ rgba }) of another length",
    (m) => m.encode({ width: 32, height: 31, rgba }),
    "Cannot encode 4096 bytes as 32x31 pixels: 4 channels are 3968",
  ],
  [
    "encode({ width: 0.5 })",
    (m) => m.encode({ width: 0.5, height: 2048, rgba }),
    "Cannot encode an image of 0.5x2048 pixels: both must be whole numbers above 0",
  ],
  [
    "encode(image, { scale: 1 })",
    (m) => m.encode({ width: 32, height: 32, rgba }, { scale: 1 }),
    "Unknown option scale: did you mean scales?",
  ],
  [
    "edit(path)",
    (m) => m.edit("cat.png", { prompt: "cat" }),
    'Cannot use "cat.png" as init: it must be',
  ],
  [
    "edit({ mask })",
    (m) => m.edit(bits, { prompt: "cat", mask: { width: 32, height: 32 } }),
    "Cannot mask with Object: give the bytes of a PNG",
  ],
  [
    "edit({ mask: floats })",
    (m) => m.edit(bits, { prompt: "cat", mask: { width: 1, height: 1, rgb: new Float32Array(3) } }),
    "Cannot mask with floats: give 8-bit RGBA, or the bytes of a file",
  ],
  ["decode(path)", (m) => m.decode("cat.bits"), "Cannot decode a value that is not bits"],
  ...[
    { d: "32" },
    { width: null },
    { latent: 4 },
    { latent: [4] },
    { schedule: undefined },
    { schedule: [[1, 1], null] },
    { scales: {} },
    { scales: [[0, 1]] },
    { name: Symbol("bits") },
  ].map((wrong): Case => [
    `decode() of bits with a wrong ${Object.keys(wrong)}: ${Object.values(wrong).map(String)}`,
    (m) => m.decode({ ...bits, ...wrong }),
    'Cannot decode "bits": ',
  ]),
  [
    "decode() of a 2",
    (m) => m.decode({ ...bits, scales: bits.scales.with(1, bits.scales[1]!.map(() => 2)) }),
    'Cannot decode "bits": scale 1 holds 2, bits are 0 or 1',
  ],
  [
    "load({ type: 'f8' })",
    () => (InfinityModel as unknown as Untyped).load(undefined, { type: "f8" }),
    'Cannot use "f8" as type: it must be one of f32, f16, ',
  ],
  [
    "load({ gpu: {} })",
    () => (InfinityModel as unknown as Untyped).load(undefined, { gpu: {} }),
    "Cannot use an Object as gpu: it must be a GPU",
  ],
  [
    "load({ device: {} })",
    () => (InfinityModel as unknown as Untyped).load(undefined, { device: {} }),
    "Cannot use an Object as device: it must be a Device",
  ],
  [
    "load({ dtype: 'f16' })",
    () => (InfinityModel as unknown as Untyped).load(undefined, { dtype: "f16" }),
    "Unknown option dtype: did you mean type?",
  ],
];

// deno-lint-ignore no-explicit-any
type Untyped = any;

for (const [name, call, message] of REFUSED) {
  Deno.test(`${name} is refused in one line that says what was expected`, async () => {
    const live = model.device.memory.liveBytes;
    const error = await assertRejects(() => call(model), InputError);
    assert(error.message.startsWith(message), error.message);
    assert(!error.message.includes("\n"), error.message);
    assertEquals(model.device.memory.liveBytes, live);
  });
}

Deno.test("encode() and edit() take the clamped bytes of a canvas, as encodePng() does", async () => {
  const { width, height, rgba } = apple!;
  const clamped = { width, height, rgba: new Uint8ClampedArray(rgba) } as unknown as Image;
  assertEquals(await model.encode(clamped), await model.encode({ width, height, rgba }));
  const options = { prompt: "cat", seed: 1, strength: 0.25 };
  const { images: [edited] } = await model.edit(clamped, { ...options, mask: clamped });
  const { images: [same] } = await model.edit(apple!, { ...options, mask: apple! });
  assertEquals(edited!.rgba, same!.rgba);
});
