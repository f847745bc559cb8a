import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Queue } from "../../../deps/bullmq.ts";
import { fromFileUrl } from "@std/path";
import { BitwiseError, FileError, InputError } from "../../../engine/mod.ts";
import { readPngText } from "../../../model/image/png.ts";
import { BusyError } from "../../../serve/jobs/busy_error.ts";
import type { ScaleDone } from "../../../serve/jobs/job.ts";
import { FolderStore } from "../../../serve/stores/folder_store.ts";
import { MemoryStore } from "../../../serve/stores/memory_store.ts";
import { cardKey } from "../../../serve/fleet/protocol.ts";
import { S3Store } from "../../../serve/stores/s3_store.ts";
import { KEYS, MockS3 } from "../stores/mock_s3.ts";
import { FakeMaker, SCALES } from "./fake_maker.ts";
import { Fleet, jobOf } from "./fleet.ts";
import { SKIP_REDIS } from "./redis_server.ts";

const { ignore, why } = SKIP_REDIS;

/** Waits until something is so, which an event that nobody sends would tell. */
async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!await so()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function test(name: string, run: (fleet: Fleet) => Promise<void>): void {
  Deno.test({
    name: name + why,
    ignore,
    // libraries that wait for a dead connection keep timers
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using fleet = await Fleet.start();
      await run(fleet);
    },
  });
}

test("A front makes images by a worker, with the pixels and bits that the worker made", async (fleet) => {
  const maker = new FakeMaker();
  const front = await fleet.front({ look: 20 });
  const early = front.make(jobOf("a-1", "cat", 7)); // before there is a worker
  assertEquals(front.state().ready, false);
  await fleet.worker(maker);
  const { rgba, width, height, parameters, bits, ...others } = await early;
  const [alone] = await Promise.all([new FakeMaker().make(jobOf("a-1", "cat", 7))]);
  assertEquals({ rgba, width, height, parameters, bits, ...others }, alone);
  assertEquals((await front.card).name, "fake");
  assertEquals(front.state(), { ready: true, queued: 0, running: 0, gpuBytes: 0 });
  const png = await fleet.store.get("a-1.png");
  assertEquals(readPngText(png!).parameters, "cat");
  // an id of digits, which BullMQ itself refuses
  await front.make(jobOf("12345"));
});

test("Results go through S3 as they go through a folder", async (fleet) => {
  await using s3 = new MockS3();
  const place = { address: `${s3.endpoint}/made`, prefix: "", region: "eu-test-1", ...KEYS };
  fleet.store = new S3Store(place);
  await fleet.worker(new FakeMaker());
  const front = await fleet.front();
  assertEquals(await front.make(jobOf("a-1")), await new FakeMaker().make(jobOf("a-1")));
  assertEquals(
    [...s3.files.keys()],
    ["worker.json", "a-1.safetensors", "a-1.png"].map((name) => `/made/${name}`),
  );
  // a front that looks elsewhere says so
  fleet.store = new MemoryStore(1000);
  const other = await fleet.front();
  const error = await assertRejects(() => other.make(jobOf("a-2")), FileError);
  assertStringIncludes(error.message, "give all the same store");
});

test("A job that ends its workers one after the other fails, and the others are made", async (fleet) => {
  const folder = await Deno.makeTempDir();
  fleet.store = new FolderStore(folder);
  const module = fromFileUrl(import.meta.resolve("./dying_worker.ts"));
  let ended = false;
  const deaths: number[] = [];
  let process: Deno.ChildProcess;
  const workers = (async () => {
    while (!ended) {
      const args = ["run", "-A", module, fleet.server.url, folder];
      process = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
      deaths.push((await process.status).code);
    }
  })();
  const front = await fleet.front({ look: 100 });
  const good = front.make(jobOf("good"));
  const error = await assertRejects(() => front.make(jobOf("bad", "die")), BitwiseError);
  assertStringIncludes(error.message, "stalled");
  await good;
  ended = true;
  process!.kill("SIGKILL");
  await workers;
  assertEquals(deaths.slice(0, -1), Array(deaths.length - 1).fill(9));
  assert(deaths.length <= 6, `${deaths}`);
  await Deno.remove(folder, { recursive: true });
});

test("A job that was made is taken from the store when it is asked for again", async (fleet) => {
  const maker = new FakeMaker();
  await fleet.worker(maker);
  const front = await fleet.front();
  const first = await front.make(jobOf("a"));
  assertEquals(await front.make(jobOf("a")), first);
  assertEquals(await (await fleet.front()).make(jobOf("a")), first);
  assertEquals(maker.began, ["a"]);
});

test("Every scale is shown, with its image if that is asked for, before the end", async (fleet) => {
  await fleet.worker(new FakeMaker());
  const front = await fleet.front();
  const seen: ScaleDone[] = [];
  await front.make(jobOf("a"), { onScale: (done) => seen.push(done) });
  const scales = [0, 1, 2].map((scale) => ({ scale, scales: SCALES }));
  assertEquals(seen.splice(0), scales);
  const { rgba } = await front.make(jobOf("b"), {
    previews: true,
    onScale: (done) => seen.push(done),
  });
  assertEquals(seen, scales.map((scale) => ({ ...scale, image: { width: 2, height: 1, rgba } })));
});

test("Wrong jobs fail at once, others after three tries, and both stay in the failed set", async (fleet) => {
  const maker = new FakeMaker();
  await fleet.worker(maker);
  const front = await fleet.front({ pause: 0 });
  const wrong = await assertRejects(() => front.make(jobOf("wrong", "bad")), InputError);
  assertEquals([wrong.code, wrong.message], [
    "bad-value",
    "Cannot use tau 0: it must be above 0",
  ]);
  const crash = await assertRejects(() => front.make(jobOf("crash", "crash")), BitwiseError);
  assertStringIncludes(crash.message, "it crashed");
  assertEquals(maker.began, ["wrong", "crash", "crash", "crash"]);
  const queue = new Queue("bitwise", { connection: await fleet.connect() });
  await queue.add("image", { nonsense: true }, { jobId: "nonsense" });
  await until(async () => await queue.getFailedCount() === 3);
  const failed = await queue.getFailed();
  assertEquals(failed.map(({ failedReason }) => failedReason).sort(), [
    "BitwiseError (worker-failed): Cannot generate: Error: it crashed",
    "InputError (bad-job): Cannot use a job of the queue: its id must have 1 to 180 letters, digits, - or _",
    "InputError (bad-value): Cannot use tau 0: it must be above 0",
  ]);
  // asked for again, it is tried again
  await assertRejects(() => front.make(jobOf("wrong", "bad")), InputError);
  assertEquals(maker.began.length, 5);
});

test("A job that nobody waits for leaves the queue, or ends at its next scale", async (fleet) => {
  const maker = new FakeMaker();
  const front = await fleet.front();
  await fleet.worker(maker, { jobs: 1 });
  const stop = new AbortController();
  const { promise: shown, resolve: show } = Promise.withResolvers<void>();
  const running = front.make(jobOf("runs", "wait"), { signal: stop.signal, onScale: () => show() });
  const waiting = front.make(jobOf("waits"), { signal: stop.signal });
  await shown;
  assertEquals([front.state().running, front.state().queued], [1, 1]);
  stop.abort(new Error("the client left"));
  await assertRejects(() => running, Error, "the client left");
  await assertRejects(() => waiting, Error, "the client left");
  await until(() => maker.aborted.length > 0);
  await front.make(jobOf("next"));
  assertEquals([maker.began, maker.aborted], [["runs", "next"], ["runs"]]);
  // what was cancelled can be wanted again
  await front.make(jobOf("waits"));
  const again = new AbortController();
  const wanted = front.make(jobOf("runs", "wait"), { signal: again.signal });
  await until(() => maker.began.length === 4);
  again.abort();
  await assertRejects(() => wanted, DOMException);
});

test("A front takes so many jobs, each once at a time, and none once it closes", async (fleet) => {
  const maker = new FakeMaker();
  const front = await fleet.front({ limit: 2 });
  const [one, two] = [front.make(jobOf("one")), front.make(jobOf("two"))];
  await assertRejects(() => front.make(jobOf("three")), BusyError);
  const more = await fleet.front({ limit: 2 });
  const three = more.make(jobOf("three"));
  await assertRejects(() => more.make(jobOf("three")), InputError);
  await fleet.worker(maker);
  await Promise.all([one, two, three]);
  const four = front.make(jobOf("four"));
  await Promise.all([front.close(), four]);
  await assertRejects(() => front.make(jobOf("five")), BusyError);
});

test("A front counts how its jobs end, but not those that it refuses", async (fleet) => {
  const ends: string[] = [];
  const front = await fleet.front({ limit: 1, events: { onEnd: (how) => ends.push(how) } });
  await fleet.worker(new FakeMaker());
  const made = front.make(jobOf("made"));
  await assertRejects(() => front.make(jobOf("refused")), BusyError);
  await made;
  await assertRejects(() => front.make(jobOf("wrong", "bad")), InputError);
  const signal = AbortSignal.abort();
  await assertRejects(() => front.make(jobOf("left"), { signal }), DOMException);
  assertEquals(ends, ["made", "failed", "aborted"]);
});

test("A worker with another model does not join", async (fleet) => {
  await fleet.worker(new FakeMaker());
  await fleet.worker(new FakeMaker(), {});
  const other = new FakeMaker(0, { name: "other" });
  const error = await assertRejects(() => fleet.worker(other), InputError);
  assertStringIncludes(error.message, "another worker has fake as f32");
  const styled = new FakeMaker(0, { digest: "0+1:0.8" });
  const { message } = await assertRejects(() => fleet.worker(styled), InputError);
  assertStringIncludes(message, "with fake as f32: another worker has other weights or LoRAs");
  await fleet.worker(other, { queue: "another" });
});

test("Fronts and workers refuse a queue whose workers say what they do not understand", async (fleet) => {
  const redis = await fleet.connect();
  for (const card of ["{", "null", '{"name":"fake","type":"f32","adapter":"","digest":"0"}']) {
    await redis.set(cardKey("bitwise"), card);
    const front = await fleet.front({ look: 20 });
    const error = await assertRejects(() => front.card, InputError);
    assertEquals(error.code, "bad-card");
    await assertRejects(() => fleet.worker(new FakeMaker()), InputError, "use the same version");
  }
});

test("A worker that closes ends what runs and takes no more", async (fleet) => {
  const maker = new FakeMaker(30);
  const front = await fleet.front();
  const worker = await fleet.worker(maker, { jobs: 1 });
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const first = front.make(jobOf("first"), { onScale: () => begin() });
  const second = front.make(jobOf("second"));
  await begun;
  await worker.close();
  await first;
  assertEquals(maker.began, ["first"]);
  const next = new FakeMaker();
  await fleet.worker(next);
  await second;
  assertEquals(next.began, ["second"]);
});

test("A Redis that dies is waited for; what it forgot is sent again", async (fleet) => {
  const lines: string[] = [];
  const maker = new FakeMaker();
  const front = await fleet.front({ look: 50 });
  await fleet.connect((line) => lines.push(line));
  await fleet.worker(maker);
  await front.make(jobOf("before"));
  const forgotten = front.make(jobOf("forgotten"));
  await fleet.server.stop();
  await until(() => lines.length > 0);
  const during = front.make(jobOf("during"));
  await fleet.server.again();
  await Promise.all([during, forgotten]);
  await until(() => lines.length > 1);
  assertStringIncludes(lines[0]!, `Waiting for Redis at redis://127.0.0.1:${fleet.server.port}: `);
  assertEquals(lines[1], `Redis at redis://127.0.0.1:${fleet.server.port} is back`);
});
