import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, InputError, OutOfMemoryError } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import { parseParameters } from "../../model/generate/plan/parameters.ts";
import type { SamplingOptions } from "../../model/generate/plan/plan.ts";
import { readPngText } from "../../model/image/png.ts";
import { assertNear, device, NEED_CPU, relativeError } from "../harness.ts";
import { assertReproduces, traced } from "./golden_model.ts";
import { NANO } from "../nano.ts";

const model = await InfinityModel.load(NANO, { device });
const expected = await openTensorFile(new URL("expected.safetensors", NANO).pathname);
const SCALES = 4;

Deno.test("golden: emoji-nano end to end from the prompt text", () =>
  assertReproduces(model, expected));

Deno.test({
  name: `golden: emoji-nano on the kernels of the other class of adapter${NEED_CPU}`,
  ignore: device.capabilities.class !== "cpu",
  async fn() {
    using other = await Device.open({ class: "gpu" });
    using twin = await InfinityModel.load(NANO, { device: other });
    await assertReproduces(twin, expected);
  },
});

Deno.test("generate() gives the same bytes for the same seed, and different bytes for another", async () => {
  const run = async (seed: number) =>
    (await model.generate({ prompt: "a smiling thing", seed, tau: 2 })).images[0]!.rgba;
  assertEquals(await run(3), await run(3));
  const [a, b] = [await run(3), await run(4)];
  assert(a.some((v, i) => v !== b[i]), "another seed must give another image");
});

Deno.test("generate() gives an image the same bytes alone and in a batch", async () => {
  const prompt = ["red apple", "a cute dog face emoji", "rocket", "blue car"];
  const seed = [11, 5, 2 ** 40 + 1, 7];
  for (const cfgScale of [2, [1, 3, 2, 1], 1]) {
    const batch = await model.generate({ prompt, seed, cfgScale, tau: 1.5 });
    for (let i = 0; i < prompt.length; i++) {
      const alone = await model.generate({ prompt: prompt[i], seed: seed[i], cfgScale, tau: 1.5 });
      assertEquals(
        alone.images[0]!.rgba,
        batch.images[i]!.rgba,
        `image ${i} at cfg scale ${cfgScale}`,
      );
    }
  }
});

Deno.test("generate() counts seeds up and makes batchCount images per prompt", async () => {
  const { images } = await model.generate({ prompt: ["cat", "dog"], batchCount: 2, seed: 9n });
  assertEquals(images.map((i) => [i.prompt, i.seed]), [["cat", 9n], ["cat", 10n], ["dog", 11n], [
    "dog",
    12n,
  ]]);
  const last = await model.generate({ prompt: "dog", seed: 12 });
  assertEquals(last.images[0]!.rgba, images[3]!.rgba);
});

Deno.test("generate(prompt, options) does what generate({ prompt, ...options }) does", async () => {
  const { images: [one] } = await model.generate("red apple", { seed: 3, tau: 2 });
  const { images: [same] } = await model.generate({ prompt: "red apple", seed: 3, tau: 2 });
  assertEquals(one!.rgba, same!.rgba);
  const { images } = await model.generate(["red apple", "pizza"], { seed: 3 });
  assertEquals(images.map(({ prompt, seed }) => [prompt, seed]), [["red apple", 3n], [
    "pizza",
    4n,
  ]]);
});

Deno.test("generate() chooses a random seed for -1, and returns it", async () => {
  const options = { prompt: "a smiling thing", tau: 2 };
  const made = [];
  for (const seed of [-1, -1n, [-1]]) {
    made.push((await model.generate({ ...options, seed })).images[0]!);
  }
  assertEquals(new Set(made.map(({ seed }) => seed)).size, 3);
  assert(made.every(({ seed }) => seed >= 0n && seed < 2n ** 32n));
  const again = await model.generate({ ...options, seed: made[0]!.seed });
  assertEquals(again.images[0]!.rgba, made[0]!.rgba);
});

Deno.test("generate() reads back once, whatever the number of scales and images", async () => {
  const before = device.readBacks;
  await model.generate({ prompt: ["red apple", "pizza"], onProgress: () => {} });
  assertEquals(device.readBacks - before, 1);
});

Deno.test("generate() frees its memory", async () => {
  await model.generate({ prompt: "pizza" });
  const live = device.memory.liveBytes;
  await model.generate({ prompt: ["red apple", "pizza"], negativePrompt: "blue", trace: true });
  await assertRejects(() => model.generate({ prompt: "pizza", cfgScale: [1, 2] }), InputError);
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("generate() computes no unconditional half once no later scale is guided", async () => {
  const dispatched = async (cfgScale: number[]) => {
    device.trim();
    const before = device.memory.liveBytes;
    device.memory.resetPeak();
    await model.generate({ prompt: "red apple", cfgScale, greedy: true });
    return device.memory.peakBytes - before;
  };
  assert(await dispatched([1, 1, 1, 1]) < await dispatched([1, 1, 1, 2]));
  // dropping the half is exact: the first scales do not change if a later one is guided
  const bits = async (cfgScale: number[]) => {
    const at = traced(
      await model.generate({ prompt: "red apple", cfgScale, greedy: true, trace: true }),
    );
    return [0, 1, 2].map((s) => at(`scale${s}.bits`));
  };
  assertEquals(await bits([2, 2, 1, 1]), await bits([2, 2, 1, 4]));
});

Deno.test("generate() gives the same images without the unconditional half as with it", async () => {
  // 1 + ε is 1 in f32 but not in the plan: the half is computed, and has no weight
  const kept = 1 + Number.EPSILON;
  for (const scales of [1, 2, 3]) {
    const list = (end: number) => Array.from({ length: SCALES }, (_, s) => s < scales ? 3 : end);
    const prompt = ["red apple", "a cute dog face emoji"];
    const run = (cfgScale: number[]) =>
      model.generate({ prompt, seed: 5, tau: 1.5, cfgScale, trace: true });
    const [with_, without] = [await run(list(kept)), await run(list(1))];
    assertEquals(without.trace.map(({ name }) => name), with_.trace.map(({ name }) => name));
    for (let s = 0; s < SCALES; s++) {
      for (const name of [`scale${s}.logit_delta`, `scale${s}.bits`]) {
        assertEquals(traced(without)(name), traced(with_)(name), `${name} of ${list(1)}`);
      }
    }
    assertEquals(without.images.map(({ rgba }) => rgba), with_.images.map(({ rgba }) => rgba));
  }
});

Deno.test("cfgUntil guides only the first scales, and the parameters reproduce its image", async () => {
  const run = async (options: SamplingOptions) =>
    (await model.generate({ prompt: "pizza", seed: 8, tau: 1.5, ...options })).images[0]!;
  for (
    const [options, cfgScale] of [
      [{ cfgUntil: 0 }, 1],
      [{ cfgUntil: 2 }, [2, 2, 1, 1]],
      [{ cfgUntil: 4 }, 2],
      [{ cfgScale: 3, cfgUntil: 1 }, [3, 1, 1, 1]],
      [{ cfgScale: [5, 4, 3, 2], cfgUntil: 3 }, [5, 4, 3, 1]],
    ] as const
  ) {
    const image = await run(options);
    const of = parseParameters(readPngText(image.toPng()).parameters!);
    assertEquals(of.cfgScale, cfgScale);
    assertEquals((await run({ cfgScale: of.cfgScale })).rgba, image.rgba);
  }
});

Deno.test("generate() takes text features instead of prompts", async () => {
  const options: GenerateOptions = { seed: 4, tau: 1 };
  const prompt = ["red apple", "a cute dog face emoji"];
  const encoded = await model.generate({ ...options, prompt, trace: true });
  const rows = encoded.trace.find((t) => t.name === "text.features")!;
  const lens = [3, 6];
  const features = Float32Array.from(rows.data as Float32Array);
  const width = rows.shape[1]!;
  const given = await model.generate({ ...options, textFeatures: { features, width, lens } });
  assertEquals(given.images.map((i) => i.rgba), encoded.images.map((i) => i.rgba));

  const negative = await model.generate({ ...options, prompt, negativePrompt: "red apple" });
  const negativeFeatures = { features: features.slice(0, 3 * width), width, lens: [3] };
  const both = await model.generate({
    ...options,
    textFeatures: { features, width, lens },
    negativeFeatures,
  });
  assertEquals(both.images.map((i) => i.rgba), negative.images.map((i) => i.rgba));
  await assertRejects(
    () => model.generate({ textFeatures: { features, width, lens: [3] } }),
    InputError,
    "Cannot use text features",
  );
});

Deno.test("generate() samples with given uniforms, and keeps forced bits", async () => {
  const d = model.config.transformer.d_vae;
  const tokens = [1, 4, 9, 16];
  const uniforms = tokens.map((n, s) =>
    Float32Array.from({ length: n * d }, (_, i) => (i * 0.37 + s * 0.11) % 1)
  );
  const options = { prompt: "pizza", uniforms, tau: 1, trace: true };
  const at = traced(await model.generate(options));
  tokens.forEach((_, s) => {
    const bits = at(`scale${s}.bits`);
    at(`scale${s}.logit_delta`).forEach((delta, i) => {
      const p = 1 / (1 + Math.exp(-delta));
      const u = uniforms[s]![i]!;
      if (Math.abs(p - u) > 1e-5) assertEquals(bits[i], u < p ? 1 : 0, `scale ${s} bit ${i}`);
    });
  });
  const ones = new Uint8Array(4 * d).fill(1);
  const forced = traced(await model.generate({ ...options, forceBits: [undefined, ones] }));
  assertEquals(forced("scale0.bits"), at("scale0.bits"));
  assertEquals(Uint8Array.from(forced("scale1.bits")), ones);
  await assertRejects(
    () => model.generate({ ...options, forceBits: [ones] }),
    InputError,
    "Cannot use 128 values for scale 0: 1 × 1 tokens × 32 bits need 32",
  );
});

Deno.test("generate() reports each scale and ends at an abort between two", async () => {
  const seen: string[] = [];
  await model.generate({
    prompt: "sun",
    onProgress: ({ stage, scale, scales, height, width }) =>
      seen.push(`${stage} ${scale + 1} of ${scales} ${height}x${width}`),
  });
  assertEquals(seen, [
    "scale 1 of 4 1x1",
    "scale 2 of 4 2x2",
    "scale 3 of 4 3x3",
    "scale 4 of 4 4x4",
    "decode 4 of 4 32x32",
  ]);
  const live = device.memory.liveBytes;
  const controller = new AbortController();
  const stopped: number[] = [];
  const error = await assertRejects(() =>
    model.generate({
      prompt: "sun",
      signal: controller.signal,
      onProgress: ({ scale }) => {
        stopped.push(scale);
        if (scale === 1) controller.abort();
      },
    })
  );
  assertEquals((error as Error).name, "AbortError");
  assertEquals(stopped, [0, 1]);
  assertEquals(device.memory.liveBytes, live);
});

Deno.test({
  name: "generate() aborts within a long scale (CPU adapters only: a GPU's scales are short)",
  ignore: device.capabilities.class !== "cpu",
  async fn() {
    const controller = new AbortController();
    let before = 0;
    const error = await assertRejects(() =>
      model.generate({
        prompt: "sun",
        schedule: [[1, 1], [1, 2400]],
        signal: controller.signal,
        onProgress: ({ scale }) => {
          assertEquals(scale, 0);
          before = device.counters.dispatches;
          setTimeout(() => controller.abort(), 1);
        },
      })
    );
    assertEquals((error as Error).name, "AbortError");
    const { depth } = model.config.transformer;
    const made = device.counters.dispatches - before;
    // a block is about 15 dispatches: one ran, the others did not
    assert(made < 15 * depth / 2, `${made} dispatches after the abort`);
  },
});

Deno.test("generate() guides logits and blocks by cfgInsertionLayer, and refuses other layers", async () => {
  const logits = async (cfgInsertionLayer: number | number[]) =>
    traced(await model.generate({ prompt: "cat", cfgInsertionLayer, greedy: true, trace: true }))(
      "scale3.logit_delta",
    );
  const all = [await logits(0), await logits(-2), await logits([-2, 0]), await logits([-2, -1])];
  for (const [a, one] of all.entries()) {
    for (const other of all.slice(a + 1)) assert(relativeError(one, other) > 1e-3);
  }
  assertEquals(await logits([0]), all[0]);
  assertEquals(await logits([0, -2, -2]), all[2]);
  const refuses = (layer: number | number[], message: string) =>
    assertRejects(
      () => model.generate({ prompt: "cat", cfgInsertionLayer: layer }),
      InputError,
      message,
    );
  for (const layer of [1, -4, -0.5, [-2, 1], [0, NaN]]) {
    await refuses(layer, "Cannot insert guidance at");
  }
  await refuses([], "Cannot insert guidance: the list of layers is empty");
});

Deno.test("generate() refuses bad options in one line that names them", async () => {
  const cases: [GenerateOptions, string][] = [
    [{}, "Cannot generate from an empty prompt"],
    [{ prompt: "  " }, "Cannot generate from an empty prompt"],
    [{ prompt: ["cat", ""] }, "Cannot generate from an empty prompt"],
    [
      { prompt: "cat", cfgScale: [1, 2, 3] },
      "Cannot use 3 values of cfg scale: the schedule has 4 scales",
    ],
    [{ prompt: "cat", tau: [] }, "Cannot use 0 values of tau"],
    [{ prompt: "cat", tau: 0 }, "Cannot use tau 0: it must be a number above 0"],
    [{ prompt: "cat", tau: 1e-300 }, "Cannot use tau 1e-300: it must be a number above 0"],
    [{ prompt: "cat", cfgScale: NaN }, "Cannot use cfg scale NaN"],
    [
      { prompt: "cat", cfgScale: 1e40 },
      "Cannot use cfg scale 1e+40: it must be a number that f32 can hold",
    ],
    [{ prompt: "cat", cfgUntil: 5 }, "Cannot guide the first 5 scales: it must be a whole number"],
    [{ prompt: "cat", cfgUntil: -1 }, "Cannot guide the first -1 scales"],
    [{ prompt: "cat", cfgUntil: 1.5 }, "Cannot guide the first 1.5 scales"],
    [{ prompt: "cat", topK: -1 }, "Cannot use top-k -1"],
    [{ prompt: "cat", topP: 1.5 }, "Cannot use top-p 1.5"],
    [{ prompt: "cat", batchCount: 0 }, "Cannot make 0 images"],
    [{ prompt: "cat", batchCount: 1e9 }, "Cannot make 1000000000 images at once: the limit is"],
    [{ prompt: "cat", seed: 0.5 }, "Cannot use seed 0.5"],
    [{ prompt: "cat", seed: [1, 2] }, "Cannot use 2 seeds for 1 images"],
    [{ prompt: "cat", schedule: [[2, 2]] }, "Cannot begin a schedule with 2x2"],
    [{ prompt: "cat", schedule: [[1, 1], [0.5, 2]] }, "Cannot use a scale of 0.5x2"],
    [
      { prompt: "cat", forceBits: [...Array(4), new Uint8Array(32)] },
      "Cannot use values for scale 4: the schedule has 4 scales, 0 to 3",
    ],
    [
      { textFeatures: { features: new Float32Array(768), width: 256, lens: [1.5, 1.5] } },
      "Cannot use text features of 1.5 rows",
    ],
    [{ prompt: "cat", width: 31 }, "31"],
  ];
  for (const [options, message] of cases) {
    const error = await assertRejects(() => model.generate(options), InputError);
    assert(error.message.includes(message), error.message);
    assert(!error.message.includes("\n"), error.message);
  }
});

Deno.test({
  name: "generate() frees all memory if an allocation is refused",
  ignore: device.gpu.limits.maxStorageBufferBindingSize > 2 ** 28, // a real GPU may well do it
  async fn() {
    const live = device.memory.liveBytes;
    const cases: [SamplingOptions, string][] = [
      [{ batchCount: 4000 }, "AdaLN vectors"],
      [{ cfgScale: 1, schedule: [[1, 1], [200, 200]] }, "activations"],
      [{ cfgScale: 1, schedule: [[1, 1], [999, 999]] }, "KV of the last scale"],
    ];
    for (const [options, what] of cases) {
      await assertRejects(
        () => model.generate({ prompt: "cat", ...options }),
        OutOfMemoryError,
        `Cannot allocate ${what}: it needs`,
      );
      assertEquals(device.memory.liveBytes, live, what);
    }
    device.trim();
  },
});

Deno.test("generate() fails if the GPU runs out of memory, and works again afterwards", async () => {
  const live = device.memory.liveBytes;
  const runOut = () => {
    const error = new GPUOutOfMemoryError("no room");
    device.gpu.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
  };
  await assertRejects(
    () => model.generate({ prompt: "cat", onProgress: ({ scale }) => scale === 1 && runOut() }),
    OutOfMemoryError,
    "(no room); try a smaller batch or smaller weights",
  );
  assertEquals([device.memory.liveBytes, device.memory.pooledBytes], [live, 0]);
  assertEquals((await model.generate({ prompt: "cat" })).images.length, 1);
});

Deno.test("generate() warns about a prompt that is cut", async () => {
  const prompt = "very ".repeat(10_000) + "red apple";
  const { warnings, images } = await model.generate({ prompt });
  assertEquals(warnings, ["Prompt cut to its first 64 tokens"]);
  assertEquals(images.length, 1);
});

Deno.test("Image.toPng() carries the parameters", async () => {
  const { images: [image] } = await model.generate({ prompt: "red apple", seed: 5 });
  const text = readPngText(image!.toPng());
  assertEquals(text.parameters, image!.parameters);
  assert(/^red apple\n[^]*Seed: 5\b/.test(text.parameters!), text.parameters);
});

Deno.test("InfinityModel stores f16 where asked, within f16's error", async () => {
  const half = await InfinityModel.load(NANO, { device, type: "f16" });
  const options = { prompt: "red apple", greedy: true, trace: true };
  const at = traced(await model.generate(options));
  // force the same bits, so that a bit that f16 flips does not hide the error of the rest
  const forceBits = [0, 1, 2, 3].map((s) => Uint8Array.from(at(`scale${s}.bits`)));
  const halfAt = traced(await half.generate({ ...options, forceBits }));
  for (let s = 0; s < SCALES; s++) {
    const delta = halfAt(`scale${s}.logit_delta`);
    assertNear(delta, at(`scale${s}.logit_delta`), 3e-3, `scale ${s}`);
    const tipped = delta.filter((v, i) => (v > 0 ? 1 : 0) !== forceBits[s]![i]).length;
    assert(tipped <= delta.length / 100, `scale ${s}: f16 tips ${tipped} of ${delta.length} bits`);
  }
  half.dispose();
});

Deno.test("InfinityModel.dispose() leaves zero live bytes, for good", async () => {
  model.dispose();
  assertEquals([device.memory.liveBytes, device.memory.pooledBytes], [0, 0]);
  await assertRejects(
    () => model.generate({ prompt: "cat" }),
    InputError,
    "Cannot use a disposed model: load it again",
  );
  assertEquals(device.memory.liveBytes, 0);
});
