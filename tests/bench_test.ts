import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { compare, middle } from "../bench/against.ts";
import { reportCharts } from "../bench/charts.ts";
import { slopes } from "../bench/growth.ts";
import { chooseSteps, worstError } from "../bench/tune.ts";

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
  const dots = (fill: RegExp) =>
    [...svg.matchAll(/<circle[^>]*fill="([^"]*)"/g)]
      .filter(([, value]) => fill.test(value!)).length;
  assertEquals(dots(/./), 3 + 2); // of time, of memory
  assertEquals(dots(/white/), 2 + 1);
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
