import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, OutOfMemoryError } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import {
  adapterOptions,
  fitMemory,
  type MemoryOptions,
  planMemory,
  type StageMemory,
} from "../../model/memory_plan.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import { blankPrompt } from "../../model/generate/text/blank_prompt.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import { device } from "../harness.ts";
import { NANO } from "../nano.ts";

const config = parseConfig(
  JSON.parse(await Deno.readTextFile(new URL("config.json", NANO))),
  "config.json",
);

/** Most bytes held by a real load and generation. */
async function measured(
  load: Parameters<typeof InfinityModel.load>[1],
  options: GenerateOptions,
  on: Device = device,
): Promise<{ peak: number; rgba: Uint8Array[] }> {
  on.trim();
  on.memory.resetPeak();
  const base = on.memory.liveBytes;
  const model = await InfinityModel.load(NANO, { ...load, device: on });
  const { images } = await model.generate(options);
  const peak = on.memory.peakBytes - base;
  model.dispose();
  return { peak, rgba: images.map((image) => image.rgba) };
}

Deno.test("planMemory() is within 5 % of what a generation holds", async () => {
  for (const type of WEIGHT_TYPES) {
    for (const staged of [false, true]) {
      const options = { batchCount: 3, cfgScale: staged ? 1 : 2 };
      const prompt = "red apple"; // three tokens
      const real = (await measured({ type, staged }, { ...options, prompt })).peak;
      const adapter = device.capabilities.class;
      const plan = await planMemory(config, { ...options, type, staged, adapter, promptTokens: 3 });
      const ratio = plan.peak / real;
      assert(Math.abs(ratio - 1) < 0.05, `${type} staged ${staged}: planned ${plan.peak}, ${real}`);
    }
  }
});

Deno.test("planMemory() is within 5 % of what a generation holds as on a GPU", async () => {
  using gpu = await Device.open({ class: "gpu" });
  for (const type of ["f32", "f16"] as const) {
    const options = { batchCount: 3, cfgScale: 2 };
    const { peak } = await measured({ type }, { ...options, prompt: "red apple" }, gpu);
    const plan = await planMemory(config, { ...options, type, adapter: "gpu", promptTokens: 3 });
    assert(Math.abs(plan.peak / peak - 1) < 0.05, `${type}: planned ${plan.peak}, ${peak}`);
  }
});

Deno.test("planMemory() is what a generation on a software adapter holds, to the byte", async () => {
  using own = await Device.open();
  const { class: adapter, implementation, subgroupSize } = own.capabilities;
  if (adapter !== "cpu" || implementation !== "wgpu" || subgroupSize !== 8) return; // as a dry one
  const { stages } = await planMemory(config, adapterOptions(own.capabilities));
  const held = new Map<StageMemory["stage"], number>();
  let stage: StageMemory["stage"] = "load";
  const note = (bytes: number) => held.set(stage, Math.max(held.get(stage) ?? 0, bytes));
  own.memory.observer = (_role, _bytes, held) => note(held);
  using model = await InfinityModel.synthetic(config, { device: own });
  const onStage = (next: typeof stage) => {
    stage = next;
    note(own.memory.liveBytes + own.memory.pooledBytes);
  };
  await model.generate({ ...blankPrompt(config, config.tokenizer.max_length, 1), onStage });
  assertEquals(
    stages.map(({ stage, peak }) => ({ stage, peak })),
    Array.from(held, ([stage, peak]) => ({ stage, peak })),
  );
});

Deno.test("planMemory() counts what quantised weights go with as f32 where there is no f16", async () => {
  const workspace = async (options: MemoryOptions) =>
    Math.max(...(await planMemory(config, options)).stages.map(({ workspace }) => workspace));
  const halves = await workspace({ type: "q8_0" });
  const floats = await workspace({ type: "q8_0", f16: false });
  assert(halves < floats, `${halves} with f16, ${floats} without`);
  assertEquals(floats, await workspace({ type: "f32" }));
});

Deno.test("planMemory() counts the encoder of an edit", async () => {
  const plain = await planMemory(config, { staged: true });
  const edit = await planMemory(config, { staged: true, edit: true });
  const text = (plan: typeof plain) => plan.stages.find(({ stage }) => stage === "text")!;
  assert(text(edit).peak >= text(plain).peak, "an image is encoded before the text is");
  assert(edit.peak >= plain.peak);
  const adapter = device.capabilities.class;
  const resident = await planMemory(config, { edit: true, adapter });
  const without = await planMemory(config, { adapter });
  // the encoder's weights stay in memory with the others
  assert(resident.peak > without.peak, `${resident.peak}, ${without.peak}`);
});

Deno.test("InfinityModel generates the same image in stages, with less memory", async () => {
  const options = { prompt: "red apple", negativePrompt: "blue", seed: 3 };
  const resident = await measured({}, options);
  const staged = await measured({ staged: true }, options);
  assertEquals(staged.rgba, resident.rgba);
  assert(staged.peak < 0.75 * resident.peak, `${staged.peak} of ${resident.peak}`);
});

Deno.test("InfinityModel in stages generates repeatedly, and frees all memory", async () => {
  const before = device.memory.liveBytes;
  const model = await InfinityModel.load(NANO, { device, staged: true });
  const calls = [1, 2].map((seed) => model.generate({ prompt: "red apple", seed }));
  const [a, b] = await Promise.all(calls);
  const again = await model.generate({ prompt: "red apple", seed: 2 });
  assertEquals(again.images[0]!.rgba, b!.images[0]!.rgba);
  assert(a!.images[0]!.rgba.some((v, i) => v !== again.images[0]!.rgba[i]));
  await assertRejects(() => model.generate({ prompt: "red apple", tau: -1 }));
  assertEquals(device.memory.liveBytes, before, "nothing stays between two images");
  model.dispose();
});

Deno.test("planMemory() keeps the published models within their targets", async () => {
  const targets = [["2b", "f16", 10e9], ["2b", "q8_0", 7e9], ["8b", "q8_0", 22e9], [
    "8b",
    "q4_0",
    16e9,
  ]];
  for (const [name, type, target] of targets as [string, "f16", number][]) {
    const preset = findPreset(name);
    const model = parseConfig(preset.config, name);
    const options = { type, staged: true, width: 1024, height: 1024, promptTokens: 64 };
    const { peak, stages } = await planMemory(model, options);
    assert(peak <= target, `${name} as ${type}: ${peak} bytes, the target is ${target}`);
    assertEquals(stages.map(({ stage }) => stage), ["text", "transformer", "vae"]);
    assert(stages.every((s) => s.weights + s.cache + s.workspace <= s.peak));
  }
});

Deno.test("planMemory() counts a KV cache without the last scale", async () => {
  const { parse } = { parse: () => parseConfig(findPreset("2b").config, "2b") };
  const { stages } = await planMemory(parse(), {
    type: "f16",
    staged: true,
    width: 1024,
    height: 1024,
    promptTokens: 1,
  });
  const { cache } = stages.find(({ stage }) => stage === "transformer")!;
  // 2 halves, keys and values, 2 bytes: 32 blocks of 6,425 tokens, and scratch of 10,521
  const tokens = 32 * 6425 + 10521;
  const expected = 2 * 2 * 2 * 2048 * tokens;
  assert(Math.abs(cache / expected - 1) < 0.03, `${cache} for ${expected}`);
});

Deno.test("fitMemory() stages what does not fit, and names the types that would fit", async () => {
  const resident = await planMemory(config);
  const staged = await planMemory(config, { staged: true });
  assertEquals((await fitMemory(config, {}, resident.peak)).staged, false);
  assertEquals((await fitMemory(config, {}, staged.peak)).staged, true);
  const error = await assertRejects(
    () => fitMemory(config, {}, staged.peak - 1),
    OutOfMemoryError,
  );
  assert(
    /^Cannot fit emoji-nano into \S+ MB: it needs \S+ MB even in stages; it would fit as f16 \(/
      .test(
        error.message,
      ),
    error.message,
  );
  const none = await assertRejects(() => fitMemory(config, {}, 1000), OutOfMemoryError);
  assert(none.message.endsWith("use a smaller size, batch or model"), none.message);
  const { name: _name, ...unnamed } = config;
  const fit = () => fitMemory(unnamed as typeof config, {}, 1000);
  await assertRejects(fit, OutOfMemoryError, "Cannot fit infinity into 1 kB");
});

Deno.test("InfinityModel.synthetic() runs the full pipeline on random weights", async () => {
  const before = device.memory.liveBytes;
  const model = await InfinityModel.synthetic(config, { device });
  const rgbaOf = async (seed: number) =>
    (await model.generate({ prompt: "a b c", seed })).images[0]!;
  const [a, b, c] = [await rgbaOf(1), await rgbaOf(1), await rgbaOf(2)];
  assertEquals([a.width, a.height], [config.image.width, config.image.height]);
  assertEquals(a.rgba, b.rgba);
  assert(a.rgba.some((v, i) => v !== c.rgba[i]));
  const colours = new Set(a.rgba.filter((_, i) => i % 4 !== 3));
  assert(colours.size > 32, `well-scaled weights give many colours, not ${colours.size}`);
  model.dispose();
  assertEquals(device.memory.liveBytes, before);
});
