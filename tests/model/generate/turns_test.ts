// Holds without a GPU: the turns know nothing of models.
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { outcome } from "../../../model/generate/generate.ts";
import { Turns } from "../../../model/generate/turns.ts";

/** Steps that write down what happens to them. */
function recorded(log: string[], name: string, count: number) {
  return async function* (): AsyncGenerator<number, string, void> {
    log.push(`${name} begins`);
    try {
      for (let i = 0; i < count; i++) {
        await later();
        yield i;
      }
      return name;
    } finally {
      await later(); // to free memory may take time
      log.push(`${name} ends`);
    }
  };
}

const later = () => new Promise<void>((resolve) => setTimeout(resolve));
const reason = new Error("enough");

Deno.test("Turns.run() lets one run work at a time, in the order of their first steps", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const runs = ["a", "b", "c"].map((name) => outcome(turns.run(recorded(log, name, 2))));
  assertEquals(await Promise.all(runs), ["a", "b", "c"]);
  assertEquals(log, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

Deno.test("Turns.run() gives the turn back at a return, a throw and an error", async () => {
  const turns = new Turns();
  const log: string[] = [];
  for await (const _ of turns.run(recorded(log, "left", 9))) break;
  const thrown = turns.run(recorded(log, "thrown", 9));
  await thrown.next();
  assertStrictEquals(await assertRejects(() => thrown.throw(reason)), reason);
  const failing = () => {
    throw reason;
  };
  assertStrictEquals(await assertRejects(() => outcome(turns.run(failing))), reason);
  assertEquals(await outcome(turns.run(recorded(log, "last", 0))), "last");
  assertEquals(log.filter((line) => line.endsWith("ends")), [
    "left ends",
    "thrown ends",
    "last ends",
  ]);
});

Deno.test("Turns.run() gives the turn of a run back that is aborted and that nobody continues", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const controller = new AbortController();
  const stream = turns.run(recorded(log, "stream", 9), controller.signal);
  await stream.next();
  const next = outcome(turns.run(recorded(log, "next", 1)));
  await later();
  assertEquals(log, ["stream begins"], "it holds the turn until the abort");
  controller.abort(reason);
  assertEquals(await next, "next");
  assertEquals(log, ["stream begins", "stream ends", "next begins", "next ends"]);
  assertStrictEquals(await assertRejects(() => stream.next()), reason);
  assertEquals((await stream.next()).done, true);
});

Deno.test("Turns.run() rejects a run that waits as soon as it is aborted", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const holder = turns.run(recorded(log, "holder", 1));
  await holder.next();
  const controller = new AbortController();
  const waiting = outcome(turns.run(recorded(log, "waiting", 1), controller.signal));
  const behind = outcome(turns.run(recorded(log, "behind", 1)));
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertEquals(log, ["holder begins"], "the run before it still works");
  assertEquals((await holder.next()).done, true);
  assertEquals(await behind, "behind");
  assert(!log.includes("waiting begins"));
  // between the grant and the first step
  const other = new AbortController();
  const granted = outcome(turns.run(recorded(log, "granted", 1), other.signal));
  other.abort(reason);
  assertStrictEquals(await assertRejects(() => granted), reason);
  assert(!log.includes("granted begins"));
  const late = outcome(turns.run(recorded(log, "late", 1), controller.signal));
  assertStrictEquals(await assertRejects(() => late), reason);
});

Deno.test("Turns.run() rejects with the reason where an abort makes a step fail or return", async () => {
  for (const end of ["return", "throw"] as const) {
    const turns = new Turns();
    const controller = new AbortController();
    const steps = async function* (): AsyncGenerator<number, number, void> {
      yield 0;
      controller.abort(reason);
      await later();
      if (end === "throw") throw new Error("memory is gone");
      return 1;
    };
    assertStrictEquals(
      await assertRejects(() => outcome(turns.run(steps, controller.signal))),
      reason,
    );
    assertEquals(await outcome(turns.run(recorded([], "next", 0))), "next");
  }
});

Deno.test("Turns.close() stops runs that work or wait, and refuses later ones", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const stream = turns.run(recorded(log, "stream", 9));
  await stream.next();
  const waiting = outcome(turns.run(recorded(log, "waiting", 1)));
  turns.close(reason);
  turns.close(new Error("again"));
  assertStrictEquals(await assertRejects(() => waiting), reason);
  await later();
  await later();
  assertEquals(log, ["stream begins", "stream ends"], "without a further step");
  assertStrictEquals(await assertRejects(() => stream.next()), reason);
  assertStrictEquals(await assertRejects(() => outcome(turns.run(recorded(log, "x", 1)))), reason);
});

Deno.test("Turns.run() keeps no listener on the signal of a run that ended", async () => {
  const turns = new Turns();
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (
    ...args: Parameters<typeof remove>
  ) => (listeners--, remove(...args));
  await outcome(turns.run(recorded([], "a", 2), signal));
  assertEquals(listeners, 0);
});
