// Downloads of the model in the box from a server on 127.0.0.1.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { createHash } from "node:crypto";
import { BitwiseError, FileError } from "../../../engine/mod.ts";
import { BOX_MODELS } from "../../../model/checkpoint/box_models.ts";
import {
  downloadModel,
  type DownloadModelOptions,
  modelCache,
  type ModelProgress,
} from "../../../model/checkpoint/download_model.ts";
import { modelsInBox } from "../../../model/checkpoint/find_model.ts";
import { BOX, copyCode, denoDir, ModelServer, NAME } from "./model_server.ts";
import { smallDisk } from "./small_disk.ts";
import { filesIn, inFolder } from "../../commands/process.ts";

const FILES = BOX_MODELS[NAME]!;
const TOTAL = FILES.reduce((sum, { size }) => sum + size, 0);

async function rejects(
  cache: string,
  server: ModelServer,
  options: Partial<DownloadModelOptions> = {},
): Promise<BitwiseError> {
  return await assertRejects(
    () => downloadModel(NAME, { bases: [server.base], cache, ...options }),
    BitwiseError,
  );
}

const paths = () => FILES.map(({ path }) => `${NAME}/${path}`);

Deno.test("BOX_MODELS lists the files of every model in the box, as they are", async () => {
  assertEquals(Object.keys(BOX_MODELS).sort(), await modelsInBox());
  for (const [name, files] of Object.entries(BOX_MODELS)) {
    const { files: used } = JSON.parse(await Deno.readTextFile(join(BOX, name, "config.json")));
    const { vae, transformer, text_encoder, tokenizer } = used;
    assertEquals(
      new Set(files.map(({ path }) => path)),
      new Set(["config.json", vae, transformer, text_encoder, tokenizer]),
    );
    for (const { path, size, sha256 } of files) {
      const bytes = await Deno.readFile(join(BOX, name, path));
      const found = createHash("sha256").update(bytes).digest("hex");
      assertEquals([path, bytes.length, found], [path, size, sha256]);
    }
  }
});

Deno.test("downloadModel() fetches a model once, and reports its progress", () =>
  inFolder(async (cache) => {
    await using server = new ModelServer();
    const seen: ModelProgress[] = [];
    const options = {
      bases: [server.base],
      cache,
      onProgress: (progress: ModelProgress) => seen.push(progress),
    };
    const folder = await downloadModel(NAME, options);
    for (const { path } of FILES) {
      assertEquals(
        await Deno.readFile(join(folder, path)),
        await Deno.readFile(join(BOX, NAME, path)),
      );
    }
    assertEquals(server.asked, paths());
    assertEquals(seen.at(-1), { model: NAME, done: TOTAL, total: TOTAL });
    assert(seen.every(({ done }, i) => done > (seen[i - 1]?.done ?? 0)), "progress goes up");
    seen.length = 0;
    assertEquals(await downloadModel(NAME, options), folder);
    assertEquals([server.asked.length, seen.length], [FILES.length, 0]);
  }));

Deno.test("downloadModel() may run several times at once", () =>
  inFolder(async (cache) => {
    await using server = new ModelServer();
    const get = () => downloadModel(NAME, { bases: [server.base], cache });
    const [folder, ...others] = await Promise.all([get(), get(), get(), get()]);
    assertEquals(new Set(others), new Set([folder]));
    for (const { path, size, sha256 } of FILES) {
      const bytes = await Deno.readFile(join(folder!, path));
      const found = createHash("sha256").update(bytes).digest("hex");
      assertEquals([bytes.length, found], [size, sha256]);
    }
    const left = (at: string) => filesIn(at).filter((name) => name.endsWith(".tmp"));
    assertEquals([left(folder!), left(join(folder!, "text_encoder"))], [[], []]);
  }));

Deno.test("downloadModel() on a full disk leaves what is complete, and goes on later", () =>
  inFolder(async (top) => {
    await using server = new ModelServer();
    const cache = join(top, "cache");
    await using disk = await smallDisk(cache, 400_000);
    const get = () => downloadModel(NAME, { bases: [server.base], cache });
    const error = await assertRejects(get, FileError, "the disk is full; free some space");
    assertEquals(error.code, "disk-full");
    const [folder] = filesIn(cache);
    assertEquals(filesIn(join(cache, folder!)), ["config.json", "tokenizer.json"]);
    await disk.enlarge();
    assertEquals(await get(), join(cache, folder!));
    const asked = FILES.map(({ path }) =>
      server.asked.filter((each) => each.endsWith(path)).length
    );
    assertEquals(asked, FILES.map(({ path }) => path === "vae.safetensors" ? 2 : 1));
  }));

Deno.test("downloadModel() keeps complete files when it is stopped, and fetches the rest later", () =>
  inFolder(async (cache) => {
    await using server = new ModelServer();
    const controller = new AbortController();
    const [first, second] = FILES;
    const onProgress = ({ done }: ModelProgress) => {
      if (done > first!.size + second!.size) controller.abort();
    };
    const options = { bases: [server.base], cache };
    const error = await assertRejects(() =>
      downloadModel(NAME, { ...options, onProgress, signal: controller.signal })
    );
    assertEquals((error as Error).name, "AbortError");
    const [folder] = filesIn(cache);
    const kept = filesIn(join(cache, folder!));
    assertEquals(kept, [first!.path, second!.path].sort(), "no part of a file is left");
    server.asked.length = 0;
    await downloadModel(NAME, options);
    assertEquals(server.asked, paths().slice(2));
  }));

Deno.test("downloadModel() refuses bytes other than those published", async () => {
  const other = new Uint8Array(FILES[0]!.size);
  const cases = [[other, "SHA-256"], [other.subarray(1), "size"], [new Uint8Array(9999), "size"]];
  for (const [bytes, why] of cases as [Uint8Array<ArrayBuffer>, string][]) {
    await inFolder(async (cache) => {
      await using server = new ModelServer(() => new Response(bytes));
      const { code, message } = await rejects(cache, server);
      assertEquals(code, "wrong-digest");
      assert(message.startsWith("Cannot use config.json of emoji-scenes: its "), message);
      assert(message.includes(why) && message.endsWith("give the path of a model folder"), message);
      const [folder] = filesIn(cache);
      assertEquals(filesIn(join(cache, folder!)), []);
    });
  }
});

Deno.test("downloadModel() says in one line what a server answers, and asks the next one", () =>
  inFolder(async (cache) => {
    const missing = () => new Response(null, { status: 404 });
    await using empty = new ModelServer(missing);
    const { code, message } = await rejects(cache, empty);
    assertEquals(code, "not-found");
    assertEquals(
      message,
      `Cannot download config.json of emoji-scenes: ${empty.base.slice(0, -1)} answers 404; ` +
        "or give the path of a model folder",
    );
    await using server = new ModelServer();
    await downloadModel(NAME, { bases: [empty.base, server.base], cache });
    assertEquals([empty.asked.length, server.asked], [1 + FILES.length, paths()]);
  }));

Deno.test("downloadModel() gives up on a server that is off or silent", () =>
  inFolder(async (cache) => {
    let off: string;
    {
      await using gone = new ModelServer();
      off = gone.base;
    }
    const server = new ModelServer(() => new Promise<Response>(() => {}));
    try {
      const offline = await rejects(cache, server, { bases: [off] });
      assertEquals(offline.code, "unreachable");
      await using other = new ModelServer();
      await inFolder(async (cache) => {
        await downloadModel(NAME, { bases: [off, other.base], cache });
        assertEquals(other.asked, paths(), "the next server has it");
      });
      assert(offline.message.startsWith(`Cannot reach ${off.slice(0, -1)}: `), offline.message);
      assert(offline.message.endsWith("give the path of a model folder"), offline.message);
      assertEquals((await rejects(cache, server, { patience: 50 })).code, "stalled");
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }));

Deno.test({
  name: "downloadModel() says that Deno was not allowed to, without asking",
  permissions: { read: true, write: true, net: false },
  async fn() {
    const cache = await Deno.makeTempDir();
    const error = await assertRejects(
      () => downloadModel(NAME, { bases: ["https://example.com/"], cache }),
      BitwiseError,
    );
    await Deno.remove(cache, { recursive: true });
    assertEquals([error.code, error.hint], ["no-permission", "allow-net"]);
    assertEquals(
      error.message,
      "Cannot download config.json of emoji-scenes: Deno was not allowed to reach example.com; " +
        "or give the path of a model folder",
    );
  },
});

Deno.test("modelCache() is where the operating system keeps caches", () => {
  const cache = (os: typeof Deno.build.os, env: Record<string, string>) =>
    modelCache((name) => env[name], os).replaceAll("\\", "/");
  assertEquals(cache("linux", { HOME: "/h" }), "/h/.cache/bitwise/models");
  assertEquals(cache("darwin", { HOME: "/h" }), "/h/Library/Caches/bitwise/models");
  assertEquals(
    cache("windows", { USERPROFILE: "C:/u", LOCALAPPDATA: "C:/u/l" }),
    "C:/u/l/bitwise/models",
  );
  for (const os of ["linux", "darwin", "windows"] as const) {
    assertEquals(cache(os, { XDG_CACHE_HOME: "/x", HOME: "/h" }), "/x/bitwise/models");
    assertThrows(() => cache(os, {}), FileError, "set XDG_CACHE_HOME");
  }
});

Deno.test("findModel() downloads the default model where the code came without it", () =>
  inFolder(async (folder) => {
    await copyCode(folder);
    const code = `
      const { DEFAULT_MODEL, findModel } = await import("./model/checkpoint/find_model.ts");
      let calls = 0;
      for (const model of [undefined, "${NAME}", DEFAULT_MODEL]) {
        console.log(await findModel(model, { onProgress: () => calls++ }).catch((e) => e.code));
      }
      console.log(calls > 0);
      Object.defineProperty(globalThis, "Deno", { value: { ...Deno, mkdir: undefined } }); // as on Node
      console.log(await findModel().catch((e) => e.message));
    `;
    await Deno.writeTextFile(join(folder, "find.ts"), code);
    const DENO_DIR = await denoDir();
    const find = async (url: string) => {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "find.ts"],
        cwd: folder,
        env: {
          BITWISE_MODEL: "",
          BITWISE_MODELS_URL: url,
          XDG_CACHE_HOME: join(folder, "cache"),
          DENO_DIR,
          NO_COLOR: "1",
        },
      }).output();
      const text = new TextDecoder();
      assertEquals(text.decode(stderr), "");
      return text.decode(stdout).trim().split("\n");
    };
    const onNode = `Cannot find model "${NAME}" beside the code, and cannot download it outside ` +
      "of Deno; give the path of a model folder";
    await using server = new ModelServer();
    await using empty = new ModelServer(() => new Response(null, { status: 404 }));
    assertEquals(await find(empty.base), ["not-found", "not-found", "not-found", "false", onNode]);
    for (const url of ["models", "file:///models"]) {
      assertEquals((await find(url)).slice(0, 3), ["bad-value", "bad-value", "bad-value"]);
    }
    const found = await find(server.base.slice(0, -1));
    assert(found[0]!.startsWith(join(folder, "cache", "bitwise", "models", NAME)), found[0]);
    assertEquals(found, [found[0], found[0], found[0], "true", onNode]);
    assertEquals(server.asked, paths());
  }));
