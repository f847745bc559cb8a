import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { CORRECTION } from "../bench/studies/correction.ts";
import { frechet } from "../bench/studies/frechet.ts";
import { LABELS } from "../bench/studies/labels.ts";
import { readStudies } from "../bench/studies/main.ts";
import { ORDER } from "../bench/studies/order.ts";
import { powerLaw } from "../bench/studies/scaling.ts";
import { studiesText } from "../bench/studies/text.ts";
import { inFolder } from "./commands/process.ts";
import { device } from "./harness.ts";
import { random } from "./random.ts";

Deno.test("docs/STUDIES.md says what the studies found", async () => {
  const text = await Deno.readTextFile(new URL("../docs/STUDIES.md", import.meta.url));
  assertEquals(text, studiesText(await readStudies()));
});

Deno.test("frechet() is 0 for the same set, and the square of a shift", () => {
  const next = random(3);
  const set = Array.from(
    { length: 40 },
    () => Float64Array.from({ length: 5 }, () => next() - 0.5),
  );
  const moved = set.map((row) => row.map((value, i) => value + (i === 1 ? 3 : 0)));
  assertAlmostEquals(frechet(set, set, 5), 0, 1e-9);
  assertAlmostEquals(frechet(set, moved, 5), 9, 1e-9);
  const doubled = set.map((row) => row.map((value) => 2 * value));
  const variance = (rows: readonly Float64Array[]) =>
    [0, 1, 2, 3, 4].reduce((sum, i) => {
      const mean = rows.reduce((total, row) => total + row[i]!, 0) / rows.length;
      return sum + rows.reduce((total, row) => total + (row[i]! - mean) ** 2, 0) / rows.length;
    }, 0);
  const shift = [0, 1, 2, 3, 4].reduce((sum, i) => {
    const mean = set.reduce((total, row) => total + row[i]!, 0) / set.length;
    return sum + mean ** 2;
  }, 0);
  assertAlmostEquals(frechet(set, doubled, 5), shift + variance(set), 1e-9);
});

Deno.test("powerLaw() finds exponent and correlation", () => {
  const points = [1, 2, 4, 8].map((x) => ({ x, y: 3 * x ** -0.5 }));
  const { exponent, correlation } = powerLaw(points);
  assertAlmostEquals(exponent, -0.5, 1e-12);
  assertAlmostEquals(correlation, -1, 1e-12);
});

Deno.test("A study that is run again finds what docs/STUDIES.md says", async () => {
  const said = (await readStudies()).find(({ name }) => name === LABELS.name)!;
  const effort = { factor: 1, images: Infinity, folder: "", say: () => {} };
  const found = await LABELS.run(device, effort);
  const pointsOf = ({ charts }: Pick<typeof said, "charts">) =>
    charts.flatMap(({ series }) => series.flatMap(({ points }) => points));
  const points = pointsOf(found);
  assertEquals(points.map(({ x }) => x), pointsOf(said).map(({ x }) => x));
  pointsOf(said).forEach(({ x, y }, i) => {
    const again = points[i]!.y;
    assert(Math.abs(again - y) < 0.02 * y + 2e-5, `at ${x}: ${again}, not ${y}`);
  });
});

for (
  const { study, images, finds } of [
    { study: CORRECTION, images: 8, finds: [4, 2, 3] },
    { study: ORDER, images: 4, finds: [4, 0, 5] },
  ]
) {
  Deno.test(`The study of ${study.name} comes to its end, whatever its models have learnt in two steps`, () =>
    inFolder(async (folder) => {
      const lines: string[] = [];
      const effort = { factor: 0.001, images, folder, say: (line: string) => lines.push(line) };
      const { tables, charts } = await study.run(device, effort);
      const cells = tables.flatMap(({ columns, rows }) =>
        rows.filter((row) => row.length === columns.length)
      );
      assertEquals([cells.length, charts.length, lines.length], finds);
      assert(!cells.flat().some((cell) => `${cell}`.includes("NaN")), `${cells}`);
    }));
}
