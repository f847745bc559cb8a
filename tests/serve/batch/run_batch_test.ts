import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { FileError } from "../../../engine/mod.ts";
import { VERSION } from "../../../model/config/version.ts";
import { imageParameters } from "../../../model/generate/plan/parameters.ts";
import { BusyError } from "../../../serve/jobs/busy_error.ts";
import type { Job, Made, Watch } from "../../../serve/jobs/job.ts";
import { ResultsFile } from "../../../serve/batch/results_file.ts";
import { findMissing, runBatch } from "../../../serve/batch/run_batch.ts";
import { readWish, type Shard } from "../../../serve/batch/wanted.ts";
import { filesIn, inFolder } from "../../commands/process.ts";
import { FakeMaker } from "../fleet/fake_maker.ts";

/** A fake maker whose images tell how they were made, as those of a model do. */
class Teller extends FakeMaker {
  override async make(job: Job, watch?: Watch): Promise<Made> {
    const made = await super.make(job, watch);
    const { prompt, seed } = job;
    const settings = { cfgScale: 1, tau: 1, topK: 0, topP: 0, greedy: false };
    const parameters = imageParameters({
      ...settings,
      prompt,
      scales: 3,
      seed: BigInt(seed),
      width: 2,
      height: 1,
      model: "fake",
      schedule: [[1, 1]],
      cfgInsertionLayer: 0,
      version: VERSION,
    });
    return { ...made, parameters };
  }
}

const LINES = ["cat", "dog", '{"prompt":"apple","id":"apple","n":2}', '{"prompt":"cat","seed":3}'];

interface Change {
  readonly maker?: FakeMaker;
  readonly lines?: readonly string[];
  readonly shard?: Shard;
  readonly overwrite?: boolean;
  readonly bits?: boolean;
  readonly signal?: AbortSignal;
  readonly onMade?: () => void;
}

/** Runs a batch; returns the ids that were made, and those that failed. */
async function run(folder: string, change: Change = {}) {
  const { lines = LINES, maker = new Teller(), shard, overwrite = false, bits = false } = change;
  const { images } = await readWish(lines.join("\n"), {
    seed: 0n,
    defaults: {},
    digest: () => Promise.resolve(""),
  });
  const place = { folder, overwrite, results: await ResultsFile.open(folder, shard) };
  const missing = await findMissing(images, place);
  const failed: string[] = [];
  const made: string[] = [];
  await runBatch(missing, {
    ...place,
    maker,
    bits,
    signal: change.signal ?? new AbortController().signal,
    read: () => Promise.resolve(new Uint8Array()),
    onMade({ id }) {
      made.push(id);
      change.onMade?.();
    },
    onFailed: ({ id }, error) => failed.push(`${id}: ${error.message}`),
  });
  return { made: made.sort(), failed, ids: images.map(({ id }) => id).sort() };
}

async function rows(folder: string, name = "results.jsonl") {
  const text = await Deno.readTextFile(join(folder, name));
  assert(text.endsWith("\n"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("A batch writes each image and its line, and nothing the second time", () =>
  inFolder(async (folder) => {
    const { made, ids } = await run(folder);
    assertEquals(made, ids);
    assertEquals(filesIn(folder), [...ids.map((id) => `${id}.png`), "results.jsonl"].sort());
    const lines = await rows(folder);
    assertEquals(lines.map(({ id }) => id).sort(), ids);
    const two = lines.find(({ id }) => id === "apple-2");
    const { key, ...others } = two;
    assertEquals(others, {
      id: "apple-2",
      file: "apple-2.png",
      prompt: "apple",
      seed: "1",
      seconds: 0.25,
    });
    assert(/^[0-9a-f]{12}$/.test(key));
    assertEquals((await run(folder)).made, []);
    const more = await run(folder, { lines: ["bird", ...LINES], bits: true });
    assertEquals(more.made.map((id) => id.slice(0, 5)), ["bird-"]);
    assert(filesIn(folder).includes(`${more.made[0]}.safetensors`));
  }));

Deno.test("A batch mends what a killed one left at any byte of its results", () =>
  inFolder(async (folder) => {
    const { ids } = await run(folder);
    const path = join(folder, "results.jsonl");
    const whole = await Deno.readFile(path);
    for (let length = 0; length < whole.length; length += 37) {
      await Deno.writeFile(path, whole.subarray(0, length));
      const maker = new Teller();
      // the images are there: their lines come back, and nothing is made again
      assertEquals((await run(folder, { maker })).made, []);
      assertEquals(maker.began, []);
      assertEquals((await rows(folder)).map(({ id }) => id).sort(), ids, `${length}`);
    }
    await Deno.writeFile(path, whole);
    await Deno.remove(join(folder, "apple-1.png"));
    assertEquals((await run(folder)).made, ["apple-1"]);
    assertEquals((await rows(folder)).map(({ id }) => id).sort(), ids);
    const row = { id: "a", file: "a.png", prompt: "x", seed: "1", seconds: 1, key: "0" };
    for (const wrong of [{ id: 7 }, { ...row, file: ".." }, { ...row, file: "a\0.png" }]) {
      await Deno.writeTextFile(path, `${JSON.stringify(wrong)}\n`);
      await assertRejects(() => run(folder), FileError, "line 1 is not a result");
    }
  }));

Deno.test("A batch does not replace what shows something else, unless asked to", () =>
  inFolder(async (folder) => {
    await run(folder);
    const lines = ["cat", '{"prompt":"pear","id":"apple","n":2}'];
    const error = await assertRejects(() => run(folder, { lines }), FileError);
    assert(
      error.message.includes("apple-1.png") && error.message.includes("line 2"),
      error.message,
    );
    const before = await rows(folder);
    assertEquals((await run(folder, { lines, overwrite: true })).made, ["apple-1", "apple-2"]);
    const after = await rows(folder);
    assertEquals(after.length, before.length);
    assertEquals(after.filter(({ prompt }) => prompt === "pear").length, 2);
    await Deno.writeTextFile(join(folder, "bird.png"), "something else");
    const bird = { lines: ['{"prompt":"bird","id":"bird"}'] };
    await assertRejects(() => run(folder, bird), FileError, "it exists and is another image");
  }));

Deno.test("Shards in one folder make all images once, with a list each, and know each other's", () =>
  inFolder(async (folder) => {
    const shards = [1, 2].map((index) => ({ index, count: 2 }));
    const [one] = await Promise.all(shards.map((shard) => run(folder, { shard, lines: LINES })));
    assertEquals((await rows(folder, "results-1-of-2.jsonl")).length > 0, true);
    const maker = new Teller();
    assertEquals((await run(folder, { maker })).made, []);
    assertEquals(maker.began, []);
    assertEquals(filesIn(folder).filter((name) => name.endsWith(".png")).length, one!.ids.length);
  }));

Deno.test("A wrong image fails alone; when all fail, the batch stops", () =>
  inFolder(async (folder) => {
    const { made, failed } = await run(folder, { lines: ["cat", "bad", "dog"] });
    assertEquals(made.length, 2);
    assertEquals(failed.length, 1);
    assert(failed[0]!.endsWith("Cannot use tau 0: it must be above 0"));
    const maker = new Teller();
    const bad = Array.from({ length: 500 }, (_, seed) => JSON.stringify({ prompt: "bad", seed }));
    await assertRejects(() => run(folder, { maker, lines: bad }), Error, "Cannot use tau 0");
    assert(maker.began.length < 300, `${maker.began.length}`);
  }));

Deno.test("A batch waits for a queue that is full, and leaves only whole files when it is stopped", () =>
  inFolder(async (folder) => {
    class Full extends Teller {
      #refused = 0;
      override make(job: Job, watch?: Watch): Promise<Made> {
        if (this.#refused++ < 3) return Promise.reject(new BusyError(3, 0.01));
        return super.make(job, watch);
      }
    }
    assertEquals((await run(folder, { maker: new Full() })).made.length, 5);
    const stop = new AbortController();
    const stopped = run(folder, {
      lines: ["wait", ...Array.from({ length: 50 }, (_, i) => `cat ${i}`)],
      signal: stop.signal,
      onMade: () => stop.abort(new Error("enough")),
    });
    await assertRejects(() => stopped, Error, "enough");
    const files = filesIn(folder);
    assertEquals(files.filter((name) => name.endsWith(".tmp")), []);
    const there = (await rows(folder)).map(({ file }) => file);
    for (const file of there) assert(files.includes(file), file);
  }));
