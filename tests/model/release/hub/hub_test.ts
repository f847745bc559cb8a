// Downloads from a hub on 127.0.0.1 that fails in the ways in which hubs and disks fail.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { BitwiseError, FileError, InputError } from "../../../../engine/mod.ts";
import { Hub, type HubOptions } from "../../../../model/release/hub/hub.ts";
import { DownloadError } from "../../../../model/download/patience.ts";
import { downloadFile, type DownloadOptions } from "../../../../model/release/hub/hub_cache.ts";
import { filesIn, inFolder } from "../../../commands/process.ts";
import { MAY_MOUNT, MOUNTED, smallDisk } from "../../checkpoint/small_disk.ts";
import { COMMIT, digestOf, type Fault, MockHub } from "./mock_hub.ts";

const NAME = "sub dir/weights.bin";
const BYTES = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7 + (i >> 8));
const BLOB = digestOf(BYTES);

interface Bench {
  readonly hub: MockHub;
  readonly cache: string;
  /** The folder of the blobs. */
  readonly blobs: string;
  /** Downloads NAME; by default without retries. */
  get(options?: DownloadOptions & Partial<HubOptions>): Promise<string>;
  /** Downloads NAME, expects the error `code`, and returns its message. */
  fails(code: string, options?: DownloadOptions & Partial<HubOptions>): Promise<string>;
}

function bench(
  name: string,
  fault: Fault,
  test: (bench: Bench) => Promise<void>,
  ignore = false,
): void {
  Deno.test(name, { ignore }, () =>
    inFolder(async (cache) => {
      await using hub = new MockHub({ "a/b": { [NAME]: BYTES, "small.json": "{}" } });
      hub.faults.set(NAME, fault);
      const get: Bench["get"] = async (options = {}) => {
        const client = new Hub({ endpoint: hub.endpoint, ...options });
        const [file] = await client.files("a/b", await client.commit("a/b"), [NAME]);
        const download = { retries: 0, pause: 1, ...options };
        return await downloadFile(client, cache, "a/b", COMMIT, file!, download);
      };
      const fails: Bench["fails"] = async (code, options) => {
        const error = await assertRejects(() => get(options), BitwiseError);
        assertEquals(error.code, code, error.message);
        assertEquals(error.message.includes("\n"), false);
        return error.message;
      };
      await test({ hub, cache, blobs: join(cache, "models--a--b", "blobs"), get, fails });
    }));
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path)).size;
}

bench("downloadFile() fills the cache as huggingface_hub does", {}, async (bench) => {
  const { cache, blobs, get, hub } = bench;
  const seen: number[] = [];
  const path = await get({ onProgress: ({ done }) => seen.push(done), token: "hf_secret" });
  assertEquals(path, join(cache, "models--a--b", "snapshots", COMMIT, "sub dir", "weights.bin"));
  assertEquals(await Deno.readFile(path), BYTES);
  assertEquals(await Deno.readLink(path), join("..", "..", "..", "blobs", BLOB));
  assertEquals(filesIn(blobs), [BLOB]);
  assertEquals(seen.at(-1), BYTES.length);
  assertEquals(new Set(hub.tokens), new Set(["Bearer hf_secret"]));
  assertEquals(hub.leaked, []);

  await get();
  assertEquals(hub.asked.length, 1);
  // the blob alone is enough, as is the file alone
  await Deno.remove(path);
  await get();
  await Deno.remove(path);
  await Deno.rename(join(blobs, BLOB), path);
  await get();
  assertEquals(hub.asked.length, 1);
});

bench(
  "downloadFile() continues after a lost connection",
  { after: 30_000, times: 1 },
  async (it) => {
    const message = await it.fails("connection-lost");
    assertEquals(
      message,
      `Cannot download ${NAME}: the connection was lost; run it again to continue`,
    );
    assertEquals(filesIn(it.blobs), [`${BLOB}.incomplete`]);
    assertEquals(await sizeOf(join(it.blobs, `${BLOB}.incomplete`)), 30_000);
    const before = new Set<number>();
    assertEquals(
      await Deno.readFile(await it.get({ onProgress: (p) => before.add(p.before) })),
      BYTES,
    );
    assertEquals(it.hub.asked.map(({ range }) => range), [null, "bytes=30000-"]);
    assertEquals([...before], [30_000]);
    assertEquals(filesIn(it.blobs), [BLOB]);
  },
);

bench(
  "downloadFile() tries again by itself as long as it gets on",
  { after: 15_000 },
  async (it) => {
    assertEquals(await Deno.readFile(await it.get({ retries: 1 })), BYTES);
    const starts = [0, 1, 2, 3, 4, 5, 6].map((i) => i ? `bytes=${i * 15_000}-` : null);
    assertEquals(it.hub.asked.map(({ range }) => range), starts);
  },
);

bench("downloadFile() gives up if nothing arrives", { status: 503 }, async (it) => {
  assertStringIncludes(await it.fails("refused", { retries: 2 }), "503; try again later");
  assertEquals(it.hub.asked.length, 3);
});

bench(
  "downloadFile() starts over if the server does not support ranges",
  { noRange: true },
  async (it) => {
    await Deno.mkdir(it.blobs, { recursive: true });
    await Deno.writeFile(join(it.blobs, `${BLOB}.incomplete`), BYTES.subarray(0, 500));
    assertEquals(await Deno.readFile(await it.get()), BYTES);
    assertEquals(it.hub.asked.map(({ range }) => range), ["bytes=500-"]);
  },
);

bench(
  "downloadFile() uses a complete partial file, but not one that is too long",
  {},
  async (it) => {
    await Deno.mkdir(it.blobs, { recursive: true });
    const partial = join(it.blobs, `${BLOB}.incomplete`);
    await Deno.writeFile(partial, BYTES);
    const path = await it.get();
    assertEquals(it.hub.asked, []);
    await Deno.remove(join(it.cache, "models--a--b", "snapshots"), { recursive: true });
    await Deno.remove(join(it.blobs, BLOB));
    await Deno.writeFile(partial, new Uint8Array(BYTES.length + 1));
    assertEquals(await Deno.readFile(await it.get()), BYTES);
    assertEquals(path, await it.get());
  },
);

const WRONG = BYTES.map((byte, i) => i === 77_777 ? byte ^ 1 : byte);
bench("downloadFile() refuses a wrong digest", { bytes: WRONG }, async (it) => {
  assertEquals(
    await it.fails("wrong-digest"),
    `Cannot use ${NAME}: its SHA-256 is ${digestOf(WRONG).slice(0, 12)}…, not ` +
      `${BLOB.slice(0, 12)}…; it was removed; run it again to download a new copy`,
  );
  assertEquals(filesIn(it.blobs), []);
  assertEquals(filesIn(join(it.cache, "models--a--b", "snapshots", COMMIT, "sub dir")), []);
});

const LONG = new Uint8Array(BYTES.length + 1);
bench("downloadFile() refuses more bytes than the file has", { bytes: LONG }, async (it) => {
  assertStringIncludes(await it.fails("wrong-digest"), "it is longer than it should be");
  assertEquals(filesIn(it.blobs), []);
});

bench("downloadFile() hangs up on silence", { after: 1000, hang: true }, async (it) => {
  const message = await it.fails("stalled", { patience: 100 });
  assertStringIncludes(message, "the server has sent nothing for 0.1 s; run it again to continue");
  assertEquals(await sizeOf(join(it.blobs, `${BLOB}.incomplete`)), 1000);
});

bench("downloadFile() gives up on a server that drips", { after: 0, drip: 10 }, async (it) => {
  const message = await it.fails("too-slow", { patience: 600, retries: 1 });
  assertStringIncludes(message, "less than 1 kB a second; run it again to continue");
  // a few bytes are not progress, so retries come to an end
  assertEquals(it.hub.asked.length, 2);
  const kept = await sizeOf(join(it.blobs, `${BLOB}.incomplete`));
  assert(kept > 0 && kept < 1000);
});

bench("downloadFile() gives up on a server that sends a byte a time", { after: 1 }, async (it) => {
  await it.fails("connection-lost", { retries: 3, pause: 10 });
  assertEquals(it.hub.asked.length, 4);
});

bench("downloadFile() stops when aborted", { after: 1000, hang: true }, async (it) => {
  const stop = new AbortController();
  const onProgress = () => stop.abort();
  const error = await assertRejects(() => it.get({ signal: stop.signal, onProgress, retries: 4 }));
  assertEquals(error, stop.signal.reason);
  assertEquals(await sizeOf(join(it.blobs, `${BLOB}.incomplete`)), 1000);
});

bench("downloadFile() leaves another process's download alone", {}, async (it) => {
  await Deno.mkdir(it.blobs, { recursive: true });
  const path = join(it.blobs, `${BLOB}.incomplete`);
  using file = await Deno.open(path, { create: true, write: true });
  await file.lock(true);
  assertStringIncludes(await it.fails("locked"), "another process is downloading it");
});

bench("downloadFile() keeps what fits on a full disk", {}, async (it) => {
  await using disk = await smallDisk(join(it.cache, "models--a--b"), 65_536);
  const message = await it.fails("disk-full");
  assertStringIncludes(message, `Cannot download ${NAME}: the disk is full; free `);
  assertStringIncludes(message, "or set HF_HOME to a folder on another disk");
  const kept = await sizeOf(join(it.blobs, `${BLOB}.incomplete`));
  await disk.enlarge();
  assertEquals(await Deno.readFile(await it.get()), BYTES);
  assertEquals(it.hub.asked.at(-1)!.range, kept ? `bytes=${kept}-` : null);
});

bench(`downloadFile() says that a cache is read-only${MOUNTED}`, {}, async (it) => {
  await using disk = await smallDisk(join(it.cache, "models--a--b"), 2 ** 20);
  await Deno.mkdir(it.blobs);
  await disk.protect();
  assertStringIncludes(await it.fails("not-writable"), "Read-only file system");
}, !MAY_MOUNT);

Deno.test("Hub refuses answers that a hub would not give", async () => {
  await using mock = new MockHub({ "a/b": {} });
  const hub = new Hub({ endpoint: `${mock.endpoint}/` });
  const says = async (answer: () => Response, message: string) => {
    mock.answer = answer;
    const error = await assertRejects(() => hub.commit("a/b"), DownloadError);
    assertStringIncludes(error.message, message);
    assertEquals(error.message.includes("\n"), false);
  };
  const wrong =
    `Cannot use the answer of ${mock.endpoint} about a/b: it does not look like that of a hub`;
  await says(() => new Response("<html>"), wrong);
  await says(() => Response.json(null), wrong);
  await says(() => Response.json({ sha: "../../../../../../../../../../../../../evil" }), wrong);
  const location = (to: string) => () =>
    new Response(null, { status: 302, headers: { location: to } });
  await says(location("/again"), "the server redirects in circles");
  await says(location("file:///etc/passwd"), "the hub answers 302; check HF_ENDPOINT");
  const sha = "0".repeat(40);
  for (const odd of [[COMMIT], { toString: COMMIT }, 5, null, `${COMMIT}\n`]) {
    await says(() => Response.json({ sha: odd }), wrong);
  }
  const file = { type: "file", path: "x", size: 1, oid: sha };
  const odd: unknown[] = ["../../evil", undefined, null, 7, [sha], { length: 40 }].map((oid) => ({
    oid,
  }));
  odd.push(...["1", 1.5, -1, 2 ** 60, null, [1]].map((size) => ({ size })));
  odd.push({ lfs: { oid: sha, size: 1 } }, { lfs: { oid: ["0".repeat(64)], size: 1 } }, {
    lfs: {},
  });
  for (const change of odd) {
    mock.answer = () => Response.json([{ ...file, ...change as object }]);
    await assertRejects(() => hub.files("a/b", COMMIT, ["x"]), DownloadError, wrong);
  }
  for (const answer of [{}, null, "x", 5, { filter: 1 }, [null, file]]) {
    mock.answer = () => Response.json(answer);
    await assertRejects(() => hub.files("a/b", COMMIT, ["x"]), DownloadError, wrong);
  }
  for (const entry of [5, [], { type: ["file"], path: "x" }, { ...file, path: ["x"] }]) {
    mock.answer = () => Response.json([entry, file]);
    assertEquals(await hub.files("a/b", COMMIT, ["x"]), [{ path: "x", size: 1, digest: sha }]);
  }
  mock.answer = () => Response.json([{ ...file, path: "../x", oid: "0".repeat(40) }]);
  assertEquals(await hub.files("a/b", COMMIT, ["x"]), []);
});

Deno.test("Hub reads no more of an answer than it could need", async () => {
  await using mock = new MockHub({ "a/b": {} });
  const hub = new Hub({ endpoint: mock.endpoint });
  const piece = new TextEncoder().encode(" ".repeat(1_000_000));
  let sent = 0;
  const endless = () =>
    new ReadableStream({ pull: (controller) => (sent++, controller.enqueue(piece)) });
  const fails = async (answer: () => Response) => {
    mock.answer = answer;
    const error = await assertRejects(() => hub.commit("a/b"), DownloadError);
    const what = `the answer of ${mock.endpoint} about a/b`;
    assertEquals(error.message, `Cannot use ${what}: the server sends more than 10 MB`);
    assertEquals([error.code, error.passing], ["too-large", false]);
  };
  await fails(() => new Response(endless()));
  assert(sent < 100, `${sent} MB were sent`);
  // 10 kB that unpack to 100 MB
  const zeros = new Blob([new Uint8Array(100_000_000)]).stream();
  const packed = await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).bytes();
  await fails(() => new Response(packed, { headers: { "content-encoding": "gzip" } }));
});

Deno.test("Hub gives up on an answer that drips, and says how much came", async () => {
  await using mock = new MockHub({ "a/b": {} });
  const drip = async (controller: ReadableStreamDefaultController) => {
    await new Promise((done) => setTimeout(done, 10));
    controller.enqueue(Uint8Array.of(32));
  };
  mock.answer = () => new Response(new ReadableStream({ pull: drip }));
  const hub = new Hub({ endpoint: mock.endpoint, patience: 60_000, answerPatience: 600 });
  const error = await assertRejects(() => hub.commit("a/b"), DownloadError);
  assertEquals(error.code, "too-slow");
  assertMatch(
    error.message,
    /^Cannot continue: the server sent only \d+ B in [\d.]+ s, less than 1 kB a second; run it/,
  );
});

Deno.test("Hub says what to do when access is refused", async () => {
  await using mock = new MockHub({ "a/b": {} });
  const says = async (status: number, token: string | undefined, message: string) => {
    mock.answer = () => Response.json({ error: "no" }, { status });
    const hub = new Hub({ endpoint: mock.endpoint, token });
    const error = await assertRejects(() => hub.commit("a/b"), DownloadError);
    assertEquals(error.message, `Cannot download a/b: ${message}`);
  };
  const licence = `accept its licence at ${mock.endpoint}/a/b`;
  const none = "and set HF_TOKEN to a token of your account";
  await says(401, undefined, `the hub refuses access (401); ${licence} ${none}`);
  const other = "with the account of HF_TOKEN";
  await says(403, "hf_x", `the hub refuses access (403); ${licence} ${other}`);
  await says(404, undefined, `${mock.endpoint} has no such repository (404)`);
  await says(429, undefined, "the hub answers 429; try again later");
});

Deno.test("Hub refuses impossible settings", () => {
  for (const endpoint of ["", "huggingface.co", "file:///x"]) {
    assertThrows(() => new Hub({ endpoint }), InputError, "Cannot use HF_ENDPOINT");
  }
  const token = "hf_a\nb";
  assertThrows(() => new Hub({ endpoint: "http://a", token }), InputError, "Cannot use HF_TOKEN");
  const origin = "a\r\nb";
  assertThrows(() => new Hub({ endpoint: "http://a", origin }), InputError, "USER_AGENT_ORIGIN");
});

Deno.test("downloadFile() names the path that it cannot write", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "cache"), "");
    const hub = new Hub({ endpoint: "http://127.0.0.1" });
    const file = { path: "x", size: 1, digest: BLOB };
    const get = () => downloadFile(hub, join(folder, "cache"), "a/b", COMMIT, file);
    const { message } = await assertRejects(get, FileError, `Cannot write`);
    assert(!message.includes("os error"), message);
  }));
