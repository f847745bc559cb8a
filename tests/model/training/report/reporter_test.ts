import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError } from "../../../../engine/mod.ts";
import { readPngText } from "../../../../model/image/png.ts";
import { curves } from "../../../../model/training/report/curves.ts";
import { Log, parseLog, readLog } from "../../../../model/training/report/log.ts";
import { Reporter } from "../../../../model/training/report/reporter.ts";
import type { Report } from "../../../../model/training/report/types.ts";
import { inFolder } from "../../../commands/process.ts";

function report(step: number, more: Partial<Report> = {}): Report {
  return {
    stage: "transformer",
    step,
    loss: 1 / step,
    seconds: step,
    learning_rate: 1e-3,
    images_per_second: 8,
    ...more,
  };
}

Deno.test("a log that goes on keeps what was before its step, and other stages", () =>
  inFolder(async (folder) => {
    const path = join(folder, "log.jsonl");
    const before = await Log.open(path, "tokenizer", 0);
    await before.append(report(50, { stage: "tokenizer" }));
    const log = await Log.open(path, "transformer", 0);
    for (const step of [10, 20, 30]) await log.append(report(step));
    // killed while writing
    await Deno.writeTextFile(path, '{"stage":"transfor', { append: true });
    const again = await Log.open(path, "transformer", 20);
    await again.append(report(30, { loss: 0.123456789 }));
    const steps = (all: readonly Report[]) => all.map(({ stage, step }) => [stage, step]);
    const expected = [["tokenizer", 50], ...[10, 20, 30].map((step) => ["transformer", step])];
    const read = await readLog(path);
    assertEquals(steps(read), expected);
    assertEquals(steps(again.reports), expected);
    assertEquals(read.at(-1)!.loss, 0.123457);
    assertEquals(steps((await Log.open(path, "transformer", 0)).reports), [["tokenizer", 50]]);
  }));

Deno.test("readLog() takes an absent file for empty, and names a line that is not a report", () =>
  inFolder(async (folder) => {
    const path = join(folder, "log.jsonl");
    assertEquals(await readLog(path), []);
    await Deno.writeTextFile(path, `${JSON.stringify(report(1))}\n{"step":2}\n`);
    const { code, message } = await assertRejects(() => readLog(path), CheckpointError);
    assertEquals(code, "bad-log");
    assertStringIncludes(message, "line 2 is not a report");
    assertEquals(parseLog('{"step":2', "x"), []);
  }));

Deno.test("curves() draws each stage, of long logs a few hundred points, and no NaN", () => {
  const long = Array.from(
    { length: 1000 },
    (_, i) => report(i + 1, { bit_accuracy: [0.5, 0.5 + i / 2000] }),
  );
  const svg = curves([
    report(5, { stage: "tokenizer", psnr: 20, losses: { l1: 1, "a<b": 2 }, loss: 0 }),
    report(6, { stage: "tokenizer", loss: NaN, images_per_second: Infinity }),
    ...long,
  ], "x & y");
  const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) => points!);
  assertEquals(lines.length, (1 + 2 + 1 + 1 + 1) + (1 + 2 + 1 + 1));
  assert(lines.every((points) => points.split(" ").length <= 200));
  assert(!/NaN|Infinity/.test(svg));
  for (const part of ["x &amp; y", "a&lt;b", "tokenizer: PSNR", "prefers-color-scheme: dark"]) {
    assertStringIncludes(svg, part);
  }
  assert(!curves([], "nothing").includes("polyline"));
});

Deno.test("Reporter writes the log, the curves and sheets of samples", () =>
  inFolder(async (folder) => {
    const place = { output: folder, stage: "transformer", name: "mine", step: 0 } as const;
    const reporter = await Reporter.open(place);
    await reporter.report(report(10));
    await reporter.draw();
    const image = { width: 2, height: 2, rgba: new Uint8Array(16).fill(200) };
    const path = await reporter.samples(10, [image, image], ["a", "b"]);
    assertEquals(path, join(folder, "samples", "transformer-000010.png"));
    assertEquals(readPngText(await Deno.readFile(path), path).Description, "a\nb");
    assertStringIncludes(await Deno.readTextFile(join(folder, "curves.svg")), "Training of mine");
    assertEquals((await readLog(join(folder, "log.jsonl"))).length, 1);
  }));
