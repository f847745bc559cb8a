import { assertEquals, assertRejects } from "@std/assert";
import { aborted, orAbort, within } from "../../../engine/mod.ts";

const never = new Promise<never>(() => {});

Deno.test("orAbort() ends with the promise, or with the signal's reason", async () => {
  const stop = new AbortController();
  assertEquals(await orAbort(stop.signal, Promise.resolve(1)), 1);
  assertEquals(await orAbort(undefined, Promise.resolve(2)), 2);
  const waiting = orAbort(stop.signal, never);
  stop.abort(new Error("gone"));
  await assertRejects(() => waiting, Error, "gone");
  await assertRejects(() => orAbort(stop.signal, Promise.resolve(1)), Error, "gone");
});

Deno.test("within() waits no longer than its time, and passes on a failure", async () => {
  assertEquals(await within(1, never), undefined);
  assertEquals(await within(60_000, Promise.resolve()), undefined);
  await assertRejects(() => within(60_000, Promise.reject(new Error("wrong"))), Error, "wrong");
});

Deno.test("aborted() resolves at the abort, and at once after it", async () => {
  const stop = new AbortController();
  const waiting = aborted(stop.signal);
  stop.abort();
  await waiting;
  await aborted(stop.signal);
});
