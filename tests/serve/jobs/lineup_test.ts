import { assertEquals, assertRejects } from "@std/assert";
import { BusyError } from "../../../serve/jobs/busy_error.ts";
import type { Job, Made } from "../../../serve/jobs/job.ts";
import { Lineup } from "../../../serve/jobs/lineup.ts";

function job(id: string, settings: Job["settings"] = {}): Job {
  return { id, prompt: id, seed: "1", settings };
}

const made = { width: 1 } as Made;

Deno.test("those with equal settings overtake, in their order, up to the most of a batch", async () => {
  const line = new Lineup(10);
  for (const id of ["a", "b", "c", "d", "e"]) {
    line.add(job(id, id === "b" || id === "d" ? { tau: 1 } : {}), {}).catch(() => {});
  }
  const take = async (most: number) => {
    const first = (await line.first())!;
    const alike = line.alike(first);
    return [alike, ...line.take(first, most).map(({ job: { id } }) => id)];
  };
  assertEquals(await take(2), [3, "a", "c"]);
  assertEquals(await take(2), [2, "b", "d"]);
  assertEquals(await take(2), [1, "e"]);
  assertEquals(line.length, 0);
});

Deno.test("settings are equal by their values, in any order, and an image differs from none", async () => {
  const settings: Job["settings"][] = [
    { tau: 1, cfgScale: [1, 2] },
    { cfgScale: [1, 2], tau: 1 },
    { cfgScale: [1, 3], tau: 1 },
    { cfgScale: 1, tau: 1 },
    { tau: 1, cfgScale: [1, 2], init: "AAAA" },
    { tau: 1, cfgScale: [1, 2], init: undefined },
  ];
  const line = new Lineup(10);
  for (const [i, each] of settings.entries()) line.add(job(`${i}`, each), {}).catch(() => {});
  const batch = line.take((await line.first())!, 10);
  assertEquals(batch.map(({ job: { id } }) => id), ["0", "1", "5"]);
});

Deno.test("first() waits for a job, and for the end", async () => {
  const line = new Lineup(1);
  const first = line.first();
  const waiting = line.add(job("a"), {});
  (await first)!.end({ made });
  assertEquals(await waiting, made);
  const none = line.first();
  line.close();
  assertEquals(await none, null);
});

Deno.test("a job that is aborted leaves the line, and frees its place", async () => {
  const line = new Lineup(1);
  const stop = new AbortController();
  const waiting = line.add(job("a"), { signal: stop.signal });
  const busy = await assertRejects(() => line.add(job("b"), {}), BusyError);
  assertEquals(busy.code, "queue-full");
  stop.abort(new Error("gone"));
  await assertRejects(() => waiting, Error, "gone");
  assertEquals(line.length, 0);
  line.add(job("b"), {}).catch(() => {});
  assertEquals(line.length, 1);
});

Deno.test("the time to come again follows the images that were made", async () => {
  const line = new Lineup(2);
  line.add(job("a"), {}).catch(() => {});
  line.add(job("b"), {}).catch(() => {});
  for (let i = 0; i < 50; i++) line.learn(40, 4);
  const { retryAfter } = await assertRejects(() => line.add(job("c"), {}), BusyError);
  assertEquals(retryAfter, 20);
});

Deno.test("a closed line ends those that wait only with an error", async () => {
  const line = new Lineup(2);
  const waiting = line.add(job("a"), {});
  line.close();
  await assertRejects(() => line.add(job("b"), {}), BusyError);
  assertEquals(line.length, 1);
  line.close(new Error("at once"));
  await assertRejects(() => waiting, Error, "at once");
  assertEquals(await line.first(), null);
});
