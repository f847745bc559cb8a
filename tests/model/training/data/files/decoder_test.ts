import { assertEquals, assertRejects } from "@std/assert";
import { FileError, InputError } from "../../../../../engine/mod.ts";
import { WorkerDecoder } from "../../../../../model/training/data/files/decoder.ts";
import type { Answer, Order } from "../../../../../model/training/data/files/messages.ts";
import { folderOf, plainPng } from "./folders.ts";

/** A Worker that does what a test tells it. */
class FakeWorker {
  readonly orders: Order[] = [];
  onmessage?: (event: { data: Answer }) => void;
  onerror?: (event: { message: string; preventDefault(): void }) => void;
  ended = false;

  postMessage(order: Order): void {
    this.orders.push(order);
  }

  terminate(): void {
    this.ended = true;
  }

  /** Answers its first order. */
  answer(): void {
    const { id, job: { width } } = this.orders.shift()!;
    this.onmessage!({ data: { id, decoded: { rgb: Float32Array.of(width), warnings: [] } } });
  }

  fail(): void {
    this.onerror!({ message: "out of memory", preventDefault: () => {} });
  }
}

function start(count: number) {
  const workers = Array.from({ length: count }, () => new FakeWorker());
  return { workers, decoder: new WorkerDecoder(workers as unknown as Worker[]) };
}

const job = (path: string, width = 1) => ({ path, width, height: 1, minimum: 0 });

Deno.test("A Worker has two jobs at most, and the first that is free gets the next", async () => {
  const { workers: [a, b], decoder } = start(2);
  const done = [1, 2, 3, 4, 5, 6].map((n) => decoder.decode(job("x", n)));
  const has = (worker: FakeWorker) => worker.orders.map(({ job }) => job.width);
  assertEquals([has(a!), has(b!)], [[1, 3], [2, 4]]);
  b!.answer();
  assertEquals([has(a!), has(b!)], [[1, 3], [4, 5]]);
  for (const worker of [a!, a!, b!, b!, a!]) worker.answer();
  assertEquals((await Promise.all(done)).map(({ rgb }) => rgb[0]), [1, 2, 3, 4, 5, 6]);
});

Deno.test("What a Worker had when it ended is named; the others do the rest, in the end this thread", async () => {
  await using folder = await folderOf({ "a.png": plainPng(1, 1, [0, 0, 0]) });
  const { workers: [a, b], decoder } = start(2);
  const path = `${folder.path}/a.png`;
  const jobs = Array.from({ length: 5 }, () => decoder.decode(job(path)));
  const settled = Promise.allSettled(jobs);
  a!.fail();
  await assertRejects(() => jobs[0]!, FileError, "its Worker ended: out of memory");
  assertEquals(a!.ended, true);
  b!.answer();
  assertEquals((await jobs[1]!).rgb.length, 1);
  b!.fail();
  assertEquals((await settled).map(({ status }) => status), [
    "rejected",
    "fulfilled",
    "rejected",
    "rejected",
    "rejected",
  ]);
  assertEquals((await decoder.decode(job(path))).rgb.length, 3);
});

Deno.test("dispose() ends Workers, and rejects what they have and what waits", async () => {
  const { workers: [a], decoder } = start(1);
  const jobs = [1, 2, 3].map(() => decoder.decode(job("x")));
  decoder.dispose();
  assertEquals(a!.ended, true);
  for (const each of jobs) await assertRejects(() => each, InputError, "disposed");
});
