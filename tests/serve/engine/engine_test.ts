import "../../backend.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DeviceError, InputError } from "../../../engine/mod.ts";
import { decodeBitsFile } from "../../../model/bits/bits_file.ts";
import { encodePng } from "../../../model/image/png.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { openEngine } from "../../../serve/engine/engine.ts";
import { BusyError } from "../../../serve/jobs/busy_error.ts";
import type { Job, Made, Maker, ScaleDone } from "../../../serve/jobs/job.ts";
import { NANO } from "../../nano.ts";
import { inTime } from "../../in_time.ts";

const WORDS = ["red apple", "rocket", "guitar", "camel"];
let made = 0;

function job(prompt: string, seed = 7, settings: Job["settings"] = {}): Job {
  return { id: `job-${made++}`, prompt, seed: `${seed}`, settings };
}

/** Makes the GPU busy with a batch that no other job can share. */
function block(maker: Maker): Promise<Made> {
  return maker.make(job("pizza", 1, { tau: 3 }));
}

/** The sizes of the batches that the shared engine began. */
const batches: number[] = [];
const shared: Maker = openEngine({
  model: NANO.href,
  queue: 8,
  events: { onBatch: (images) => void batches.push(images) },
});

Deno.test.beforeEach(async () => {
  await shared.card;
  batches.length = 0;
});
Deno.test.afterAll(() => shared.close("at once"));

Deno.test("an image is the same alone, in a batch, and from InfinityModel", async () => {
  using model = await InfinityModel.load(NANO);
  const first = block(shared);
  const together = WORDS.map((word, i) => shared.make(job(word, i)));
  await first;
  const images = await Promise.all(together);
  assertEquals(batches, [1, 4]);
  for (const [i, image] of images.entries()) {
    const { images: [own] } = await model.generate(WORDS[i]!, { seed: i });
    assertEquals(image.rgba, own!.rgba, WORDS[i]);
    assertEquals(image.parameters, own!.parameters);
    assertEquals((await decodeBitsFile(image.bits)).scales, own!.bits.scales);
    assertEquals([image.width, image.height, image.batch], [32, 32, 4]);
  }
  assertNotEquals(images[0]!.rgba, images[1]!.rgba);
});

Deno.test("jobs with other settings make a batch of their own", async () => {
  const first = block(shared);
  const jobs = [{ tau: 1 }, {}, { tau: 1 }, {}].map((settings) => job("camel", 3, settings));
  const [a, b, c, d] = await Promise.all(jobs.map((one) => shared.make(one)));
  await first;
  assertEquals(batches, [1, 2, 2]);
  assertEquals([a!.rgba, b!.rgba], [c!.rgba, d!.rgba]);
});

Deno.test("a watcher sees each scale, with its image if it wants one", async () => {
  const seen: ScaleDone[] = [];
  const others: ScaleDone[] = [];
  const blocker = block(shared);
  const [image] = await Promise.all([
    shared.make(job("camel"), { previews: true, onScale: (done) => seen.push(done) }),
    shared.make(job("rocket"), { onScale: (done) => others.push(done) }),
    blocker,
  ]);
  const { scales } = seen[0]!;
  assertEquals(seen.map(({ scale }) => scale), Array.from({ length: scales }, (_, i) => i));
  assertEquals(others.map(({ scale }) => scale), seen.map(({ scale }) => scale));
  assertEquals(seen.at(-1)!.image!.rgba, image.rgba);
  assertEquals(others.filter((done) => done.image), []);
  const { sizes } = await shared.card;
  assertEquals(sizes[0]!.schedule.length, scales);
});

Deno.test("an edit keeps the scales of a bits file", async () => {
  const apple = await shared.make(job("red apple"));
  const settings = { init: apple.bits.toBase64(), keepScales: 2 };
  const other = await shared.make(job("red apple", 8, settings));
  const [before, after] = [await decodeBitsFile(apple.bits), await decodeBitsFile(other.bits)];
  assertEquals(after.scales.slice(0, 2), before.scales.slice(0, 2));
  assertNotEquals(after.scales, before.scales);
  assertEquals((await shared.card).edits, true);
});

Deno.test("a job that is aborted ends, whether it runs or waits, and the next one begins", async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  const onScale = ({ scale }: ScaleDone) => {
    seen.push(scale);
    stop.abort();
  };
  const running = shared.make(job("camel"), { signal: stop.signal, onScale });
  const waiting = shared.make(job("rocket", 1, { tau: 1 }), { signal: stop.signal });
  const next = shared.make(job("guitar"));
  await assertRejects(() => running, DOMException);
  await assertRejects(() => waiting, DOMException);
  assertEquals((await next).width, 32);
  assertEquals(seen, [0]);
  await assertRejects(() => shared.make(job("x"), { signal: stop.signal }), DOMException);
});

Deno.test("a job that is aborted while its image is read leaves the GPU to the next one", async () => {
  const init = encodePng(new Uint8Array(2500 * 2500 * 4), 2500, 2500).toBase64();
  await shared.make(job("rocket"));
  const { seconds } = await shared.make(job("camel", 1, { init }));
  await inTime(1000 * seconds / 2, async () => {
    const signal = AbortSignal.timeout(20);
    await assertRejects(() => shared.make(job("camel", 1, { init }), { signal }), DOMException);
    await shared.make(job("rocket"));
  });
});

Deno.test("one who leaves a batch does not end it for the others", async () => {
  const stop = new AbortController();
  const blocker = block(shared);
  const leaves = shared.make(job("camel"), { signal: stop.signal, onScale: () => stop.abort() });
  const stays = shared.make(job("rocket"));
  await assertRejects(() => leaves, DOMException);
  await blocker;
  assertEquals((await stays).batch, 2);
  assertEquals(batches, [1, 2]);
});

Deno.test("a full line refuses, and says when to come again", async () => {
  const running = block(shared);
  // the first one leaves the line only when the engine has taken it
  await new Promise((resolve) => setTimeout(resolve, 0));
  const waiting = Array.from({ length: 8 }, (_, seed) => seed).map((seed) =>
    shared.make(job("camel", seed))
  );
  const error = await assertRejects(() => shared.make(job("rocket")), BusyError, "8 wait already");
  assert(error.retryAfter >= 1);
  await Promise.all([running, ...waiting]);
  await shared.make(job("rocket"));
});

Deno.test("jobs that are refused count neither as made nor as failed", async () => {
  const ends: string[] = [];
  const events = { onEnd: (how: string) => void ends.push(how) };
  const maker = openEngine({ model: NANO.href, queue: 1, events });
  const waiting = maker.make(job("camel"));
  await assertRejects(() => maker.make(job("rocket")), BusyError);
  await waiting;
  assertEquals(ends, ["made"]);
  await maker.close();
});

Deno.test("a wrong job fails alone", async () => {
  const jobs = [job("pizza"), job("camel"), job(" "), job("rocket")];
  const results = await Promise.allSettled(jobs.map((one) => shared.make(one)));
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  await assertRejects(() => shared.make(job(" ")), InputError, "empty prompt");
  await assertRejects(() => shared.make(job("x", 1, { width: 9, height: 9 })), InputError, "9x9");
  await assertRejects(() => shared.make(job("x", 1, { init: "AAAA" })), Error, "image");
});

Deno.test("a lost GPU is opened again, and the job made once more", async () => {
  let lost = 0;
  const module = new URL("./losing_thread.ts", import.meta.url);
  const maker = openEngine({ model: NANO.href, module, events: { onLost: () => void lost++ } });
  try {
    const [image, other] = [await maker.make(job("camel")), await maker.make(job("lose it once"))];
    assertEquals([image.width, other.width], [32, 32]);
    assertEquals(lost, 1);
    await assertRejects(() => maker.make(job("lose it always")), DeviceError);
    assertEquals(lost, 3);
    // who asks before he sends a job must not wait for one
    assertEquals(maker.state().ready, true);
    assertEquals((await maker.make(job("camel"))).rgba, image.rgba);
  } finally {
    await maker.close("at once");
  }
});

Deno.test("close() finishes what runs and waits, and refuses the rest", async () => {
  const maker = openEngine({ model: NANO.href });
  await maker.card;
  assert(maker.state().ready);
  const jobs = WORDS.map((word, i) => maker.make(job(word, i, { tau: 1 + i / 10 })));
  const closed = maker.close();
  assertEquals(maker.state().ready, false);
  await assertRejects(() => maker.make(job("late")), BusyError);
  assertEquals((await Promise.all(jobs)).length, 4);
  await closed;
  assertEquals(maker.state(), { ready: false, queued: 0, running: 0, gpuBytes: 0 });
});

Deno.test("close() at once does not wait until a model is loaded", async () => {
  const module = new URL("./endless_thread.ts", import.meta.url);
  const maker = openEngine({ model: NANO.href, module });
  const waiting = maker.make(job("camel"));
  const closed = maker.close("at once");
  await assertRejects(() => maker.card, DeviceError, "was ended");
  await assertRejects(() => waiting, DOMException);
  await closed;
});

Deno.test("a model that cannot be loaded rejects the card and the jobs", async () => {
  const maker = openEngine({ model: "/nowhere" });
  const waiting = maker.make(job("camel"));
  await assertRejects(() => maker.card, Error, "/nowhere");
  await assertRejects(() => waiting, Error, "/nowhere");
  await maker.close();
});
