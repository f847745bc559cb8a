import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { BitwiseError, ConfigError, InputError } from "../../../engine/mod.ts";
import { openFolder } from "../../../model/checkpoint/folder.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { DownloadError } from "../../../model/download/patience.ts";
import { webSource } from "../../../model/download/web_source.ts";
import { inFolder, refuses } from "../../commands/process.ts";
import { BOX, ModelServer, NAME } from "./model_server.ts";

async function fails(
  action: () => Promise<unknown>,
  code: string,
  message: string,
): Promise<BitwiseError> {
  const error = await assertRejects(action, BitwiseError);
  assertEquals([error.code, error.message.includes("\n")], [code, false], error.message);
  assertStringIncludes(error.message, message);
  assert(error.message.length < 400, error.message);
  return error;
}

Deno.test("openFolder() refuses what only looks like a URL", async () => {
  const bad = ["http://", "https://", "http://[", "http://a b/", "file:///%ff", "file://%"];
  for (const url of bad) {
    const error = assertThrows(() => openFolder(url), InputError, "Cannot use model ");
    assertEquals(error.code, "bad-url");
  }
  for (const url of [new URL("ftp://a/b"), new URL("data:,x"), new URL("blob:null/x")]) {
    assertThrows(() => openFolder(url), InputError, "must begin with https:, http: or file:");
  }
  await refuses(["generate", "apple", "-m", "http://"], 2, 'Cannot use model "http://": it is no');
  await refuses(["generate", "apple", "-m", "file:///%ff"], 2, "it is not a valid path");
});

Deno.test("openFolder() opens the same files by path, file: URL and http: URL", async () => {
  await using server = new ModelServer();
  const folder = join(BOX, NAME);
  const places = [folder, `${folder}/`, new URL(`file://${folder}`), `${server.base}${NAME}`];
  for (const place of places) {
    const files = openFolder(place);
    assertEquals((await files.json("config.json") as { name: string }).name, NAME);
    const file = await files.tensors("transformer.safetensors");
    assert(file.tensors.has("word_embed.weight"));
    file.close();
    assertEquals(await files.exists("vae.safetensors"), true);
    assertEquals(await files.exists("none.safetensors"), false);
    await fails(() => files.json("none.json"), "unreadable", "it is missing; a model is a folder");
  }
});

Deno.test("openFolder() opens shards on a web server", async () => {
  const weights = await Deno.readFile(join(BOX, NAME, "vae.safetensors"));
  await using server = new ModelServer((path) => {
    const names = ["decoder.conv_in.conv.weight", "decoder.conv_in.conv.bias"];
    const weight_map = Object.fromEntries(names.map((name) => [name, "a b.safetensors"]));
    if (path === "m/sub/x.safetensors.index.json") return Response.json({ weight_map });
    return path === "m/sub/a%20b.safetensors"
      ? new Response(weights)
      : new Response("no", { status: 404 });
  });
  const file = await openFolder(`${server.base}m`).tensors("sub/x.safetensors");
  assertEquals(file.tensors.size, 2);
  await file.readFloat32("decoder.conv_in.conv.bias");
});

Deno.test("openFolder() never leaves a folder on a web server", async () => {
  await using server = new ModelServer(() => new Response("secret"));
  const files = openFolder(`${server.base}models/a`);
  const bad = [
    "../b",
    ".%2e/b",
    "%2e%2E/b",
    "x/../../b",
    "/b",
    "//evil/b",
    "\\b",
    "http://a/b",
    ".",
  ];
  for (const name of bad) {
    await fails(() => files.json(name), "unsafe-name", "it is not in its folder");
    await fails(() => files.tensors(name), "unsafe-name", "it is not in its folder");
    const error = assertThrows(() => parseConfig({ files: { vae: name } }, "it"), ConfigError);
    assertStringIncludes(error.message, "files.vae is ");
  }
  assertEquals(server.asked, []);
  for (const name of ["b?c", "b#c", "b%2fc", "b\ud800", "b\t/c"]) {
    await files.json(name).catch(() => {});
    await files.tensors(name).catch(() => {});
  }
  assert(server.asked.every((path) => path.startsWith("models/a/b")), server.asked.join());
});

Deno.test("openFolder() says what a file is that is not JSON", () =>
  inFolder(async (folder) => {
    const says = async (content: string, message: string) => {
      await Deno.writeTextFile(join(folder, "config.json"), content);
      await fails(() => openFolder(folder).json("config.json"), "bad-json", message);
    };
    await says(
      "version https://git-lfs.github.com/spec/v1\n",
      "it is a Git LFS pointer, not the file",
    );
    await says("<!doctype html>", "it is a web page");
    await says("", "it is empty; download it again");
    await says("Entry not found", 'it is text that begins "Entry not found"');
    await says('{"a": 1', "JSON");
    await Deno.truncate(join(folder, "config.json"), 2 ** 28);
    const large = "it has 268 MB, the limit is 134 MB";
    await fails(() => openFolder(folder).json("config.json"), "unreadable", large);
    await Deno.remove(join(folder, "config.json"));
    await Deno.mkdir(join(folder, "config.json"));
    await fails(() => openFolder(folder).json("config.json"), "unreadable", "it is not a file");
  }));

Deno.test("openFolder() reads no more than a JSON file may have", async () => {
  const piece = new Uint8Array(2 ** 20).fill(32);
  const endless = () => new ReadableStream({ pull: (controller) => controller.enqueue(piece) });
  await using server = new ModelServer((path) =>
    path === "m/config.json"
      ? new Response(endless())
      : new Response(new Uint8Array(1), { headers: { "content-length": "3000000000" } })
  );
  const files = openFolder(`${server.base}m`);
  await fails(() => files.json("config.json"), "too-large", "the server sends more than 134 MB");
});

/** Serves bytes, with or without ranges. */
function serving(bytes: Uint8Array<ArrayBuffer>, ranges: boolean, asked: (string | null)[]) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ headers }) => {
    const range = headers.get("range");
    asked.push(range);
    const given = ranges ? { "accept-ranges": "bytes" } : undefined;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    if (!ranges || from === undefined) return new Response(bytes, { headers: given });
    const part = bytes.slice(Number(from), Number(to) + 1);
    const content = `bytes ${from}-${to}/${bytes.length}`;
    return new Response(part, { status: 206, headers: { ...given, "content-range": content } });
  });
}

Deno.test("webSource() reads a large file range by range, and a small one at once", async () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);
  for (const [ranges, atOnce] of [[true, 100], [true, 10_000], [false, 100]] as const) {
    const asked: (string | null)[] = [];
    await using server = serving(bytes, ranges, asked);
    const source = await webSource(new URL(`http://127.0.0.1:${server.addr.port}/x`), { atOnce });
    assertEquals(source.size, bytes.length);
    assertEquals(await source.read(5000, 20), bytes.slice(5000, 5020));
    assertEquals(await source.read(9999, 1), bytes.slice(9999));
    assertEquals(await source.read(0, 0), new Uint8Array());
    const range = ranges && atOnce < bytes.length;
    assertEquals(asked, range ? [null, "bytes=5000-5019", "bytes=9999-9999"] : [null]);
    await fails(() => source.read(9999, 2), "range-invalid", "are not inside");
  }
});

Deno.test("webSource() refuses a file that changed, is too large or drips", async () => {
  const asked: (string | null)[] = [];
  await using server = serving(new Uint8Array(10_000), true, asked);
  const url = new URL(`http://127.0.0.1:${server.addr.port}/x`);
  await fails(
    () => webSource(url, { limit: 9999 }),
    "too-large",
    "it has 10 kB, the limit is 10 kB",
  );
  await using other = new ModelServer((path) => {
    if (path === "large") {
      return new Response(new ReadableStream(), { headers: { "content-length": `${2 ** 32}` } });
    }
    if (path === "teapot") return new Response("no", { status: 418 });
    const drip = async (controller: ReadableStreamDefaultController) => {
      await new Promise((done) => setTimeout(done, 10));
      controller.enqueue(Uint8Array.of(0));
    };
    return new Response(new ReadableStream({ pull: drip }));
  });
  const at = (path: string) => webSource(new URL(path, other.base), { patience: 600 });
  await fails(() => at("large"), "too-large", "and the server sends no parts of files");
  await fails(() => at("teapot"), "refused", "the server answers 418");
  await fails(() => at("drip"), "too-slow", "less than 1 kB a second");
  const source = await webSource(url, { atOnce: 1 });
  await server.shutdown();
  await assertRejects(() => source.read(0, 1), DownloadError, "Cannot reach");
});
