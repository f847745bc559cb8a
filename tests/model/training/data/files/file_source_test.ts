import { assertEquals } from "@std/assert";
import { FileError } from "../../../../../engine/mod.ts";
import type { DecodeJob } from "../../../../../model/training/data/files/decode.ts";
import { FileSource } from "../../../../../model/training/data/files/file_source.ts";
import { device } from "../../../../harness.ts";

const COUNT = 8;
const BYTES = 2 * 2 * 3 * 4;

/** A source of eight images that are decoded by counting. */
function start(options: { ahead?: number; keep?: number; broken?: number } = {}) {
  const jobs: string[] = [];
  const set = {
    count: COUNT,
    name: "set",
    example: (i: number) => ({ path: `${i}`, caption: () => `${i}` }),
    ratio: () => 1,
    key: (i: number) => `${i}`,
    dispose: () => {},
  };
  const decoder = {
    decode({ path }: DecodeJob) {
      jobs.push(path);
      if (Number(path) === options.broken) return Promise.reject(new FileError("bad-image", path));
      return Promise.resolve({ rgb: new Float32Array(12).fill(Number(path)), warnings: [path] });
    },
    dispose: () => {},
  };
  const warnings: string[] = [];
  const source = new FileSource(device, set, [[0, 1, 2, 3, 4, 5, 6, 7]], decoder, {
    sizes: [{ width: 2, height: 2 }],
    seed: 1n,
    broken: "skip",
    mirror: 0,
    minimum: 0,
    ahead: options.ahead ?? 1,
    keep: options.keep ?? 0,
    onWarning: (line) => warnings.push(line),
  });
  const next = async (step: number) => {
    const { images, captions } = await source.batch(step, 2);
    const values = await device.read(images) as Float32Array;
    images.dispose();
    assertEquals([values[0], values[12]], captions.map(Number));
  };
  return { source, jobs, warnings, next };
}

Deno.test("FileSource decodes as many batches ahead as it was told, and each once", async () => {
  const { jobs, next } = start({ ahead: 2 });
  await next(0);
  assertEquals(jobs.length, 3 * 2);
  await next(1);
  assertEquals(jobs.length, 4 * 2);
  await next(2);
  assertEquals(jobs.length, 5 * 2);
  await next(50);
  assertEquals(jobs.length, 8 * 2);
  const { jobs: own, next: step } = start({ ahead: 0 });
  await step(0);
  assertEquals(own.length, 2);
});

Deno.test("FileSource keeps what fits for the next epoch, and decodes the rest again", async () => {
  const epochs = async (keep: number) => {
    const { jobs, next } = start({ ahead: 0, keep });
    for (let step = 0; step < 3 * COUNT / 2; step++) await next(step);
    return jobs.length;
  };
  assertEquals(await epochs(COUNT * BYTES), COUNT);
  assertEquals(await epochs(COUNT * BYTES - 1), COUNT + 2);
  assertEquals(await epochs(0), 3 * COUNT);
});

Deno.test("FileSource tries a broken image once, and says each warning once", async () => {
  const { jobs, warnings, next } = start({ ahead: 0, broken: 3 });
  for (let step = 0; step < 3 * COUNT / 2; step++) await next(step);
  assertEquals(jobs.filter((path) => path === "3").length, 1);
  assertEquals(warnings.toSorted(), ["0", "1", "2", "3; it is left out", "4", "5", "6", "7"]);
});
