/** Downloads to Cache Storage, which Deno has, too. */

import { assertEquals, assertRejects } from "@std/assert";
import { downloadModel, type LoadProgress } from "../../browser/download.ts";
import { keptFile } from "../../browser/kept_files.ts";
import { CheckpointError, ConfigError, FileError, SafetensorsError } from "../../engine/mod.ts";
import { NANO } from "../nano.ts";

/** What a server has by name: text, or a status that it refuses with. */
type Files = Record<string, string | number>;

const CONFIG = await Deno.readTextFile(new URL("config.json", NANO));
const SHARDS = { a: "vae-1.safetensors", b: "vae-2.safetensors", c: "vae-1.safetensors" };
const MODEL: Files = {
  "config.json": CONFIG,
  "tokenizer.json": "{}",
  "transformer.safetensors": "transformer",
  "vae.safetensors.index.json": JSON.stringify({ weight_map: SHARDS }),
  "vae-1.safetensors": "one",
  "vae-2.safetensors": "two",
  "text_encoder/model.safetensors": "text",
};

interface Visited {
  readonly folder: URL;
  readonly files: Files;
  /** Names of files that were sent since the last look. */
  sent(): string[];
}

/** Serves files, each with its text as its version; in a folder of its own, of which nothing is kept yet. */
async function withServer(files: Files, visit: (visited: Visited) => Promise<void>): Promise<void> {
  let sent: string[] = [];
  const path = `/${crypto.randomUUID()}/`;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const name = new URL(request.url).pathname.replace(path, "");
    const file = files[name] ?? 404;
    if (typeof file === "number") return new Response(null, { status: file });
    const headers = {
      etag: `"${encodeURIComponent(file.slice(0, 9))}"`,
      "content-length": `${file.length}`,
    };
    if (request.method === "HEAD") return new Response(null, { headers });
    sent.push(name);
    return new Response(file, { headers });
  });
  try {
    await visit({
      folder: new URL(`http://127.0.0.1:${server.addr.port}${path}`),
      files,
      sent() {
        const all = sent.sort();
        sent = [];
        return all;
      },
    });
  } finally {
    await server.shutdown();
  }
}

Deno.test("downloadModel() downloads what a model needs, once, and again what has changed", () =>
  withServer({ ...MODEL }, async ({ folder, files, sent }) => {
    const seen: LoadProgress[] = [];
    const onProgress = (progress: LoadProgress) => seen.push(progress);
    const total = Object.values(MODEL).reduce<number>((sum, text) => sum + `${text}`.length, 0);
    assertEquals(await downloadModel(folder, { onProgress }), total);
    assertEquals(sent(), Object.keys(MODEL).sort());
    assertEquals(seen.at(-1), {
      stage: "download",
      file: "text_encoder/model.safetensors",
      done: total,
      total,
    });
    assertEquals(await (await keptFile(`${folder}vae-2.safetensors`))!.text(), "two");

    seen.length = 0;
    assertEquals(await downloadModel(folder, { onProgress }), total);
    assertEquals(sent(), []);
    assertEquals(new Set(seen.map(({ stage }) => stage)), new Set(["cache"]));

    files["vae-2.safetensors"] = "other";
    assertEquals(await downloadModel(folder, {}), total + 2);
    assertEquals(sent(), ["vae-2.safetensors"]);
    assertEquals(await (await keptFile(`${folder}vae-2.safetensors`))!.text(), "other");
  }));

Deno.test("downloadModel() goes without a server that is away, if all is kept", async () => {
  let folder!: URL;
  await withServer({ ...MODEL }, async (visited) => {
    folder = visited.folder;
    await downloadModel(folder, {});
  });
  await downloadModel(folder, {});
  const other = new URL("../other/", folder);
  await assertRejects(() => downloadModel(other, {}), FileError, "check the connection");
});

Deno.test("downloadModel() says which file is missing, refused or wrong", async () => {
  const cases: [Files, new (...args: never[]) => Error, string][] = [
    [{}, FileError, "it has no config.json; give the URL of a model's folder"],
    [{ ...MODEL, "vae-2.safetensors": 404 }, FileError, "it has no vae-2.safetensors"],
    [{ ...MODEL, "vae.safetensors.index.json": 404 }, FileError, "it has no vae.safetensors"],
    [{ ...MODEL, "tokenizer.json": 403 }, FileError, "the server says 403"],
    [{ ...MODEL, "config.json": "<html>" }, CheckpointError, 'config.json": it is not JSON'],
    [{ ...MODEL, "config.json": '{"vae":1}' }, ConfigError, "vae"],
    [
      { ...MODEL, "vae.safetensors.index.json": '{"weight_map":[1]}' },
      SafetensorsError,
      "must be",
    ],
  ];
  for (const [files, type, message] of cases) {
    await withServer(files, async ({ folder }) => {
      await assertRejects(() => downloadModel(folder, {}), type as typeof Error, message);
    });
  }
});

Deno.test("downloadModel() keeps nothing of a file whose download is aborted", () =>
  withServer({ ...MODEL }, async ({ folder }) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ file }: LoadProgress) => {
      if (file.startsWith("transformer")) stop.abort(reason);
    };
    const { signal } = stop;
    const error = await downloadModel(folder, { onProgress, signal }).catch((error) => error);
    assertEquals(error, reason);
    assertEquals(await keptFile(`${folder}vae-1.safetensors`), null);
    assertEquals(await downloadModel(folder, { signal }).catch((error) => error), reason);
  }));
