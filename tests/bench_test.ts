import { assert, assertAlmostEquals, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { compare, middle } from "../bench/reports/against.ts";
import { reportCharts } from "../bench/reports/charts.ts";
import { compareTorch, readTorch } from "../bench/reports/compare_torch.ts";
import { ROWS } from "../bench/models/gpu_rows.ts";
import { slopes } from "../bench/models/growth.ts";
import { Spans } from "../bench/measuring/spans.ts";
import { Device, FileError } from "../engine/mod.ts";
import { randomNormal } from "../kernels/elementwise/random_normal.ts";
import { backwardTrial } from "../bench/kernels/attention_probes.ts";
import { chooseSteps, type Noise, type Probe, tune } from "../bench/kernels/tune.ts";
import { worstError } from "../kernels/attention/attention_proof.ts";
import { activate } from "../kernels/elementwise/activate.ts";
import { variantOf } from "../kernels/shared/variants.ts";

Deno.test("compare() puts what both reports measured side by side, the largest loss first", () => {
  const report = (matmul: number, image: number, extra: string) => ({
    kernels: { rows: [{ name: "matmul", shape: "1x2x3", cpu: matmul, milliseconds: 99 }] },
    shapes: [{ model: "nano", rows: [{ section: "s", name: "k", shape: "", milliseconds: 4 }] }],
    endToEnd: {
      figures: [{ name: "warm image", value: image, unit: "ms" }, {
        name: extra,
        value: 1,
        unit: "ms",
      }, { name: "dispatches", value: 7, unit: "" }],
    },
  });
  const rows = compare(report(10, 80, "old"), report(5, 100, "new"));
  assertEquals(rows.map(({ what, ratio }) => [what, ratio]), [
    ["emoji-nano warm image", 0.8],
    ["nano s k", 1],
    ["matmul 1x2x3", 2],
  ]);
  assertEquals(middle(rows), 1);
  assertEquals(compare({}, report(1, 1, "x")), []);
});

Deno.test("slopes() finds the exponent of what grows by a power, and leaves out what does not fit", () => {
  const row = (size: number, refused?: string) => ({
    axis: "batch" as const,
    model: "m",
    size,
    label: "",
    flops: size,
    peak: refused ? NaN : 3 * size ** 0.5,
    planned: 0,
    measured: refused ? null : { wall: 7 * size ** 2, cpu: 0 },
    ...refused && { refused },
  });
  const [slope] = slopes([row(1), row(2), row(8), row(9, "too large")]);
  assertAlmostEquals(slope!.time, 2);
  assertAlmostEquals(slope!.memory, 0.5);
});

Deno.test("reportCharts() draws what was measured, and nothing of what was not", () => {
  const growth = {
    rows: [1, 2, 4].map((size) => ({
      axis: "batch" as const,
      model: "a <b>",
      size,
      label: "",
      flops: size,
      peak: size === 4 ? NaN : size,
      planned: size,
      measured: size === 1 ? { wall: 3, cpu: 1 } : null,
    })),
    slopes: [],
  };
  const svg = reportCharts({ growth });
  const dots = (pattern: RegExp) => [...svg.matchAll(pattern)].length;
  assertEquals(dots(/<circle/g), 3 + 2); // of time, of memory
  assertEquals(dots(/<circle[^>]*class="paper"/g), 2 + 1);
  assert(svg.includes("a &lt;b&gt;") && !svg.includes("NaN"));
  assert(!reportCharts({}).includes("<circle"));
});

Deno.test("chooseSteps() takes the fastest of the variants that were proved", () => {
  const measured: { size: number; times: Record<string, number> }[] = [
    { size: 4, times: { a: 2, b: 3 } },
    { size: 16, times: { a: 5, b: 2, c: 1 } },
    { size: 64, times: { a: 1.99, b: 2, c: 1 } },
  ];
  const { steps, best } = chooseSteps(["a", "b"], measured);
  assertEquals(steps, [[0, "a"], [8, "b"]]);
  assertEquals(best, ["a", "b", "b"]);
  assertEquals(chooseSteps([], measured), { steps: [], best: [] });
});

Deno.test("worstError() finds one wrong element, and NaN", () => {
  const right = Float32Array.of(3, -3, 3, 3);
  assertEquals(worstError(right, right), 0);
  assertEquals(worstError(Float32Array.of(3, -3, 4.5, 3), right), 0.5);
  assertEquals(worstError(Float32Array.of(3, NaN, 3, 3), right), NaN);
});

Deno.test("compareTorch() puts rows of the same name beside each other, in our order", () => {
  const times = {
    machine: "m",
    microseconds: { "product 1x2x3": 10, "attention 1x1": 5, other: 1 },
  };
  const rows = compareTorch(times, [
    { name: "attention 1x1", microseconds: 10 },
    { name: "product 1x2x3", type: "f16", microseconds: 5 },
    { name: "product 1x2x3", type: "q8_0", microseconds: 20 },
    { name: "unknown", microseconds: 1 },
  ]);
  assertEquals(rows.map(({ name, type, ratio }) => [name, type, ratio]), [
    ["attention 1x1", "", 0.5],
    ["product 1x2x3", "f16", 2],
    ["product 1x2x3", "q8_0", 0.5],
  ]);
});

Deno.test("readTorch() reads the file in the repository, and says in one line what is wrong with others", async () => {
  const path = fromFileUrl(new URL("../bench/results/torch-h200.json", import.meta.url));
  const { microseconds } = await readTorch(path);
  // every row of products, attention and convolutions has its counterpart there, or is cross-attention
  const ours = ROWS.filter(({ group, name }) => group !== "norms" && !name.startsWith("cross"));
  assertEquals(ours.filter(({ name }) => !(name in microseconds)).map(({ name }) => name), []);
  const file = await Deno.makeTempFile();
  try {
    for (
      const [text, why] of [
        ["{", "it is not JSON"],
        ["null", 'it needs "machine"'],
        ['{"machine": "m"}', 'it needs "machine"'],
        ['{"machine": "m", "microseconds": {"a": "1"}}', '"a" must be a number'],
        ['{"machine": "m", "microseconds": {"a": 0}}', '"a" must be a number'],
      ] as const
    ) {
      await Deno.writeTextFile(file, text);
      await assertRejects(() => readTorch(file), FileError, why);
    }
  } finally {
    await Deno.remove(file);
  }
  await assertRejects(() => readTorch("nowhere.json"), FileError, "there is no such file");
});

Deno.test("bench refuses in one line what it cannot do, before it measures", async () => {
  const main = fromFileUrl(new URL("../bench/main.ts", import.meta.url));
  const refusals = {
    "--tune --only gpu": /^error: Cannot use --tune and --only together[^\n]*\n$/,
    "--only nothing": /^error: Cannot bench "nothing": it must be one of [^\n]*\n$/,
    "--models 3b": /^error: Cannot time "3b": it must be one of [^\n]*\n$/,
  };
  for (const [flags, message] of Object.entries(refusals)) {
    const args = ["run", "-A", main, ...flags.split(" ")];
    const env = { NO_COLOR: "1" };
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
    assertEquals(code, 2, flags);
    assertMatch(new TextDecoder().decode(stderr), message);
  }
});

/** Why a choice cannot be timed here, for the name of a test; or nothing. */
const NEED_TIMES = await (async () => {
  using device = await Device.open();
  return device.gpu.features.has("timestamp-query") && device.capabilities.f16
    ? ""
    : " (skipped: the adapter lacks timestamps or f16)";
})();

Deno.test({
  name: `tune() chooses no variant that is wrong, and names it${NEED_TIMES}`,
  ignore: NEED_TIMES !== "",
  async fn() {
    using device = await Device.open();
    const profiler = device.profile()!;
    const probe = (size: number): Probe => ({
      size,
      label: `${size} elements`,
      setup(device: Device, t: Noise) {
        const [x, y] = [t.f32(size), t.f32(size)];
        const right = () => activate(device, { x, y, kind: "silu" });
        // "tiles" makes nothing, which is fast
        const run = () => variantOf(device, "matmul", size) === "tiles" ? undefined : right();
        return { run, y, plain: right, tolerance: 0 };
      },
    });
    const { tuning, rows } = await tune(device, profiler, { "matmul": [probe(4), probe(64)] });
    assertEquals(tuning, { "matmul": [[0, "rows"]] });
    assertEquals(rows.map(({ wrong, best }) => [wrong, best]), [
      [{ tiles: NaN }, "rows"],
      [{ tiles: NaN }, "rows"],
    ]);
    assertEquals(device.tuning, {});
  },
});

Deno.test({
  name: `tune() proves attention backwards, by matrices where there are some${NEED_TIMES}`,
  ignore: NEED_TIMES !== "",
  async fn() {
    using gpu = await Device.open({ class: "gpu" });
    const profiler = gpu.profile()!;
    const probe: Probe = {
      size: 16,
      label: "scales",
      setup: (device, t) => backwardTrial(device, t, { tokens: [1, 4, 16], heads: 2, headDim: 64 }),
    };
    const { rows } = await tune(gpu, profiler, { "attention backward": [probe] });
    assertEquals(rows.map(({ wrong, times }) => [wrong, Object.keys(times)]), [
      [{}, ["tiles", "matrix"]],
    ]);
  },
});

Deno.test("Spans times the passes of each section of a device that is not profiled", async () => {
  using own = await Device.open();
  const spans = Spans.of(own)!;
  using y = own.tensor("f32", [1 << 20]);
  const fill = () => randomNormal(own, { y, key: 7 });
  fill(); // belongs to no section
  own.flush();
  spans.begin("two submits");
  for (let i = 0; i < 2; i++) fill(), fill(), own.flush();
  spans.begin("nothing");
  spans.begin("one");
  fill();
  own.flush();
  const { sections, all } = await spans.report();
  assertEquals(sections.map(({ section, passes }) => [section, passes]), [
    ["two submits", 2],
    ["one", 1],
  ]);
  assert(sections.every(({ milliseconds }) => milliseconds > 0));
  assert(all.milliseconds >= sections[0]!.milliseconds + sections[1]!.milliseconds);
  assertEquals((await spans.report()).sections, []);
});
