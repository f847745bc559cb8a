import { assertEquals, assertRejects } from "@std/assert";
import { FileError } from "../../../../engine/mod.ts";
import { encodePng } from "../../../../model/image/png.ts";
import type { Order } from "../../../../serve/http/pictures/messages.ts";
import { Pictures } from "../../../../serve/http/pictures/pictures.ts";

/** What the threads of a test were told, and how many of them there were. */
let [orders, threads]: [string[], number] = [[], 0];

const { Worker } = globalThis;
Deno.test.beforeEach(() => {
  [orders, threads] = [[], 0];
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      threads++;
    }
    override postMessage(order: Order): void {
      orders.push(order.kind);
      super.postMessage(order);
    }
  };
});
Deno.test.afterEach(() => {
  globalThis.Worker = Worker;
});

const maskOf = (side: number) =>
  ({
    kind: "mask",
    file: encodePng(new Uint8Array(side * side * 4), side, side),
    alpha: true,
    invert: false,
    maxPixels: 2 ** 25,
  }) as const;
const image = { width: 1, height: 1, rgba: new Uint8Array(4) };
const encode = { kind: "encode", image, format: "png", quality: 90 } as const;
const left = new Error("the client left");

Deno.test("Orders that nobody waits for are never done, and the next ones are", async () => {
  const pictures = new Pictures();
  const stop = new AbortController();
  const first = pictures.ask(maskOf(8));
  const waiting = [maskOf(8), maskOf(8)].map((order) => pictures.ask(order, stop.signal));
  const last = pictures.ask({ kind: "prompt", file: new Uint8Array() });
  stop.abort(left);
  for (const one of waiting) await assertRejects(() => one, Error, left.message);
  assertEquals([(await first).length > 0, await last], [true, null]);
  await assertRejects(() => pictures.ask(maskOf(8), stop.signal), Error, left.message);
  assertEquals([threads, orders], [1, ["mask", "prompt"]]);
  pictures.close();
});

Deno.test("Reading ends with whoever sent it, and keeps no answer waiting", async () => {
  const pictures = new Pictures();
  const stop = new AbortController();
  const large = maskOf(2500);
  const reading = pictures.ask(large, stop.signal);
  let read = false;
  reading.catch(() => read = true);
  await pictures.ask(encode);
  assertEquals([read, pictures.waiting], [false, 0]);
  stop.abort(left);
  await assertRejects(() => reading, Error, left.message);
  await pictures.ask(maskOf(8));
  // the one that read was ended, and another took its place
  assertEquals([threads, orders], [3, ["mask", "encode", "mask"]]);
  pictures.close();
});

Deno.test("An order that fails, or a thread that ends, fails alone", async () => {
  const pictures = new Pictures();
  const broken = pictures.ask({ ...maskOf(8), file: new Uint8Array([1]) });
  const good = pictures.ask(maskOf(8));
  await assertRejects(() => broken, FileError);
  await good;
  const one = pictures.ask(maskOf(8));
  const other = pictures.ask(encode);
  pictures.close();
  for (const each of [one, other]) await assertRejects(() => each, Error, "its thread ended");
  await pictures.ask(encode); // begins again
  pictures.close();
});
