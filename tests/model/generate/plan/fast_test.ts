import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InputError } from "../../../../engine/mod.ts";
import { InfinityModel } from "../../../../model/infinity.ts";
import { planMemory } from "../../../../model/memory_plan.ts";
import { parseConfig } from "../../../../model/config/config.ts";
import { findPreset } from "../../../../model/config/presets.ts";
import { parseSchedule, schedules } from "../../../../model/config/schedule.ts";
import { type FastMode, fastScales } from "../../../../model/generate/plan/fast.ts";
import { transformerFlops } from "../../../../model/generate/plan/flops.ts";
import type { Result } from "../../../../model/generate/images.ts";
import type { GenerateOptions } from "../../../../model/generate/options.ts";
import { parseParameters } from "../../../../model/generate/plan/parameters.ts";
import { makePlan, type SamplingOptions } from "../../../../model/generate/plan/plan.ts";
import { ssim } from "../../../../model/image/metrics.ts";
import { readPngText } from "../../../../model/image/png.ts";
import { Transformer } from "../../../../model/transformer/transformer.ts";
import { assertNear, device } from "../../../harness.ts";
import { NANO } from "../../../nano.ts";

const model = await InfinityModel.load(NANO, { device });
const PROMPTS = ["red apple", "a cute dog face emoji", "rocket"];
const ALL: FastMode[] = ["kv", "prune"];

function traced(result: Result, name: string): Float32Array {
  return result.trace.find((entry) => entry.name === name)!.data as Float32Array;
}

/** Generates without the blocks of scales of some numbers of tokens, and returns how many blocks ran. */
async function without(rows: number[], options: GenerateOptions) {
  const { block } = Transformer.prototype;
  const ran: Record<number, number> = {};
  Transformer.prototype.block = function (i, pass, ...rest) {
    if (rows.includes(pass.rows)) return;
    ran[pass.rows] = (ran[pass.rows] ?? 0) + 1;
    block.call(this, i, pass, ...rest);
  };
  try {
    return { ran, result: await model.generate(options) };
  } finally {
    Transformer.prototype.block = block;
  }
}

Deno.test("fastScales() caches scales up to a sixteenth of the last one's tokens, and runs those up to a quarter", () => {
  const of = (schedule: string, ...modes: FastMode[]) => {
    const { cachedScales, restoredFrom } = fastScales(parseSchedule(schedule), modes);
    return [cachedScales, restoredFrom];
  };
  const large = schedules(1, "1M");
  assertEquals(fastScales(large, []), { cachedScales: 12, restoredFrom: 12 });
  // 16x16 is cached, 32x32 is run; 40x40 and 48x48 are not
  assertEquals(fastScales(large, ["kv"]), { cachedScales: 7, restoredFrom: 12 });
  assertEquals(fastScales(large, ["prune"]), { cachedScales: 10, restoredFrom: 10 });
  assertEquals(fastScales(large, ["prune", "kv"]), { cachedScales: 7, restoredFrom: 10 });
  assertEquals(of("1x1,2x2,3x3,4x4", ...ALL), [1, 2]);
  assertEquals(of("1x1,3x3,4x4", ...ALL), [1, 1]);
  // the first scale is never skipped, and the last one is always run
  assertEquals(of("1x1", ...ALL), [0, 0]);
  assertEquals(of("1x1,1x2", ...ALL), [1, 1]);
  assertEquals(of("1x1,1x1,1x2", ...ALL), [1, 1]);
  assertEquals(of("1x1,9x9,2x2,4x4", ...ALL), [1, 1]);
  assertThrows(
    () => fastScales(large, ["turbo" as FastMode]),
    InputError,
    'Cannot use fast "turbo": it must be kv or prune',
  );
});

Deno.test("transformerFlops() counts the 2B at 1024x1024", () => {
  const config = parseConfig(findPreset("2b").config, "2b");
  const tera = (options: SamplingOptions, text = 0) => {
    const scales = transformerFlops(config.transformer, makePlan(config, options, 1), text);
    const sum = (key: "linear" | "selfAttention" | "crossAttention") =>
      Math.round(scales.reduce((total, scale) => total + scale[key], 0) / 1e12);
    return [sum("linear"), sum("selfAttention"), sum("crossAttention")];
  };
  assertEquals(tera({}), [79, 36, 0]);
  assertEquals(tera({ cfgUntil: 11 }), [55, 21, 0]);
  assertEquals(tera({ cfgScale: 1 }), [40, 18, 0]);
  assertEquals(tera({ batchCount: 2 }, 512), [158, 72, 6]);
});

Deno.test("kv: later scales do not attend to scales that are not cached", async () => {
  const { images: [image] } = await model.generate({ prompt: "pizza", seed: 1 });
  const { scales } = image!.bits;
  // bits are forced, so that scales 2x2 and 3x3 reach the last one only through the cache
  const options = { prompt: "pizza", forceBits: scales.slice(0, 3), trace: true };
  const last = async (rows: number[], fast: FastMode[]) => {
    await model.generate({ prompt: "cat" }); // leaves other keys and values where the cache will be
    return traced((await without(rows, { ...options, fast })).result, "scale3.logit_delta");
  };
  const kv = await last([], ["kv"]);
  assertEquals(await last([4, 9], ["kv"]), kv);
  assert((await last([1], ["kv"])).some((v, i) => v !== kv[i]), "the first scale must count");
  const exact = await last([], []);
  assert((await last([9], [])).some((v, i) => v !== exact[i]), "exactly, all scales must count");
  assert(
    exact.some((v, i) => v !== kv[i]),
    "kv must not be exact, or this test would show nothing",
  );
});

Deno.test("kv: is exact where nothing can be skipped", async () => {
  const options = { prompt: "cat", seed: 2, schedule: parseSchedule("1x1,4x4") };
  const rgbaWith = async (fast: FastMode[]) =>
    (await model.generate({ ...options, fast })).images[0]!.rgba;
  assertEquals(await rgbaWith(ALL), await rgbaWith([]));
});

Deno.test("prune: a skipped scale takes the resized hidden states of the one before", async () => {
  for (const options of [{}, { cfgScale: [2, 2, 1, 1] }, { cfgInsertionLayer: -2 }]) {
    const { ran, result } = await without([], {
      prompt: PROMPTS,
      tau: 1,
      cfgScale: 2,
      trace: true,
      ...options,
      fast: ["prune"],
    });
    const { depth, d_vae: d } = model.config.transformer;
    assertEquals(ran, { 1: depth, 4: depth, 16: depth });
    if ("cfgScale" in options) continue; // logits of a scale of another guidance cannot be compared
    const [two, three] = [1, 2].map((s) => traced(result, `scale${s}.logit_delta`));
    for (const b of PROMPTS.keys()) {
      // the corners of 3x3 are those of 2x2
      [0, 2, 6, 8].forEach((corner, token) => {
        const row = (of: Float32Array, at: number) => of.slice(at * d, (at + 1) * d);
        assertNear(row(three!, 9 * b + corner), row(two!, 4 * b + token), 2e-6, `token ${corner}`);
      });
    }
  }
});

Deno.test("fast images are close to the exact ones, alone, in a batch, and reproduced from their parameters", async () => {
  const exact = (await model.generate({ prompt: PROMPTS, seed: 3 })).images;
  // measured: see bench/NOTES.md
  for (const [fast, least] of [[["kv"], 0.97], [["prune"], 0.85], [ALL, 0.85]] as const) {
    const { images } = await model.generate({ prompt: PROMPTS, seed: 3, fast });
    for (const [i, image] of images.entries()) {
      const near = ssim(image, exact[i]!);
      assert(near > least && near < 1, `${fast} ${PROMPTS[i]}: SSIM ${near}`);
      const of = parseParameters(readPngText(image.toPng()).parameters!);
      assertEquals(of.fast, fast);
      const again = await model.generate({ prompt: of.prompt!, seed: of.seed!, fast: of.fast! });
      assertEquals(again.images[0]!.rgba, image.rgba);
    }
  }
  assertEquals(exact[0]!.parameters.includes("Fast"), false);
});

Deno.test("fast modes combine with edits, streams and the model's decoder", async () => {
  const { images: [image] } = await model.generate({ prompt: "blue car", seed: 3 });
  const { bits } = image!;
  for (const keepScales of [1, 3]) {
    const options = { prompt: "green car", keepScales, fast: ALL };
    const { images: [edited] } = await model.edit(bits, options);
    assertEquals(edited!.bits.scales.slice(0, keepScales), bits.scales.slice(0, keepScales));
    assertEquals((await model.decode(edited!.bits)).rgba, edited!.rgba);
  }
  const sun = (await model.generate({ prompt: "sun", fast: ALL })).images[0]!.bits;
  const steps: number[] = [];
  for await (const step of model.stream({ prompt: "sun", fast: ALL })) {
    assertEquals(step.bits[0]!.scales, sun.scales.slice(0, step.scale + 1));
    steps.push(step.scale);
  }
  assertEquals(steps, [0, 1, 2, 3]);
});

Deno.test("kv takes less memory, as planned", async () => {
  const cache = async (fast: FastMode[]) => {
    const plan = await planMemory(parseConfig(findPreset("2b").config, "2b"), {
      type: "f16",
      staged: true,
      promptTokens: 8,
      fast,
    });
    return plan.stages.find(({ stage }) => stage === "transformer")!.cache;
  };
  const [exact, kv] = [await cache([]), await cache(["kv"])];
  assert(kv < exact / 5, `${kv} of ${exact} bytes`);
});

Deno.test("fast: an unknown mode is refused", async () => {
  const options = { prompt: "cat", fast: ["local" as FastMode] };
  await assertRejects(() => model.generate(options), InputError, 'Cannot use fast "local"');
});

Deno.test("fast: all memory is freed", () => {
  model.dispose();
  assertEquals(device.memory.liveBytes, 0);
});
