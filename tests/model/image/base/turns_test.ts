import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { inTurns } from "../../../../model/image/base/turns.ts";

/** Works for `ms` milliseconds before each of its values, without a turn of the event loop. */
async function* busy(count: number, ms: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    for (const end = performance.now() + ms; performance.now() < end;);
    yield await Promise.resolve(i);
  }
}

Deno.test("inTurns() passes values on, and lets timers run meanwhile", async () => {
  const values: number[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for await (const value of busy(20, 10)) values.push(value);
  assertEquals(turns, 0); // without it, they starve
  for await (const value of inTurns(busy(20, 10))) values.push(value);
  clearInterval(timer);
  assertEquals(values, [...Array(20).keys(), ...Array(20).keys()]);
  assertLess(4, turns);
});

Deno.test("inTurns() stops with the reason of a signal, and what it reads from as well", async () => {
  let [ended, values] = [false, 0];
  async function* source() {
    try {
      yield* busy(1000, 1);
    } finally {
      ended = true;
    }
  }
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 30);
  await assertRejects(
    async () => {
      for await (const _ of inTurns(source(), controller.signal)) values++;
    },
    Error,
    "enough",
  );
  assertLess(values, 500);
  assertEquals(ended, true);
});
