// `pull` against a hub on 127.0.0.1: the real one was never asked.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { pullModel } from "../../commands/pull.ts";
import { BitwiseError } from "../../engine/mod.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import { type Preset, REPOSITORY, TEXT_ENCODER } from "../../model/config/presets.ts";
import { ended, fakeIo, filesIn, inFolder, refuses, runFlags, withHosts } from "./process.ts";
import { COMMIT, digestOf, MockHub } from "../model/release/hub/mock_hub.ts";
import { TINY, tinyRepositories } from "../model/release/tiny_release.ts";
import manifest from "../../deno.json" with { type: "json" };

const CLI = fromFileUrl(new URL("../../cli.ts", import.meta.url));

/** The command line with the permissions of `deno task pull`, but a hub of this machine. */
function start(args: readonly string[], cwd: string, endpoint: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [...withHosts(runFlags("pull"), "127.0.0.1"), CLI, "pull", ...args],
    cwd,
    env: { HF_ENDPOINT: endpoint, HF_HOME: join(cwd, "hf"), HF_TOKEN: "hf_x", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

interface Pulled {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Pulls TINY, or another, into `folder`/tiny. */
async function pullTiny(
  hub: MockHub,
  folder: string,
  preset: Preset = TINY,
  change: Record<string, string> = {},
): Promise<Pulled> {
  const io = fakeIo();
  const env: Record<string, string> = {
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: join(folder, "hf"),
    ...change,
  };
  const options = { output: join(folder, "tiny"), type: "f16", pause: 1 } as const;
  const code = await pullModel(preset, options, io, (name) => env[name]);
  return { code, out: io.text(), err: io.errors() };
}

Deno.test("pull downloads a model and converts it, once", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    await Deno.mkdir(join(folder, "hf"));
    await Deno.writeTextFile(join(folder, "hf", "token"), "hf_file\n");
    const { code, out, err } = await pullTiny(hub, folder);
    assertEquals(code, 0);
    assertStringIncludes(out, `${join(folder, "tiny")}: tiny, `);
    assertStringIncludes(err, "tiny: 8 files, ");
    assertStringIncludes(err, 'Downloading "infinity_vae_d16.pth": 100 %, ');
    const model = join(folder, "tiny");
    assertEquals(filesIn(model), [
      "config.json",
      "infinity_vae_d16.safetensors",
      "text_encoder",
      "tokenizer.json",
      "transformer.safetensors",
    ]);
    const weights = await openTensorFile(join(model, "transformer.safetensors"));
    assertEquals(weights.get("word_embed.weight").dtype, "F16");
    weights.close();
    assertEquals(new Set(hub.tokens), new Set(["Bearer hf_file"]));
    assertEquals(hub.leaked, []);

    const cache = join(folder, "hf", "hub");
    assertEquals(filesIn(cache), [
      "models--FoundationVision--Infinity",
      "models--google--flan-t5-xl",
    ]);
    for (const name of filesIn(cache)) {
      assertEquals(await Deno.readTextFile(join(cache, name, "refs", "main")), COMMIT);
      assert(filesIn(join(cache, name, "blobs")).every((blob) => /^[0-9a-f]{40,64}$/.test(blob)));
    }
    // what the preset does not need stays there
    const snapshot = join(cache, "models--FoundationVision--Infinity", "snapshots", COMMIT);
    assertEquals(filesIn(snapshot), ["infinity_vae_d16.pth", "tiny_weights"]);

    const requests = hub.tokens.length;
    assertEquals(await pullTiny(hub, folder), {
      code: 0,
      out: `${model}: tiny exists already\n`,
      err: "",
    });
    assertEquals(hub.tokens.length, requests);
    await Deno.remove(model, { recursive: true });
    const files = hub.asked.length;
    assertStringIncludes((await pullTiny(hub, folder)).out, "tiny, ");
    assertEquals(hub.asked.length, files);
  }));

Deno.test("pull expands HF_HOME: the token in ~/hf is sent, and the cache is there", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const env = { HOME: folder, HF_HOME: "~/hf", HF_HUB_CACHE: "${HF_HOME_OF_ALL}/c" };
    await Deno.mkdir(join(folder, "hf"));
    await Deno.writeTextFile(join(folder, "hf", "token"), "hf_of_file\n");
    await pullTiny(hub, folder, TINY, { ...env, HF_HOME_OF_ALL: folder });
    assertEquals(new Set(hub.tokens), new Set(["Bearer hf_of_file"]));
    assertEquals(filesIn(join(folder, "c")).length, 2);
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    await pullTiny(hub, folder, TINY, { ...env, HF_HUB_CACHE: "" });
    assertEquals(filesIn(join(folder, "hf", "hub")), filesIn(join(folder, "c")));
    assertEquals(filesIn(folder).includes("~"), false);
  }));

Deno.test("pull sends no token with HF_HUB_DISABLE_IMPLICIT_TOKEN, and says so if one is needed", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const env = { HF_TOKEN: "hf_x", HF_HUB_DISABLE_IMPLICIT_TOKEN: "yes" };
    await pullTiny(hub, folder, TINY, { ...env, HF_HUB_USER_AGENT_ORIGIN: "here" });
    assertEquals(new Set(hub.tokens), new Set([null]));
    assertEquals(hub.agent, `bitwise/${manifest.version}; origin/here`);
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    hub.answer = () => new Response("no", { status: 401 });
    const message = "and unset HF_HUB_DISABLE_IMPLICIT_TOKEN to send your token";
    await assertRejects(() => pullTiny(hub, folder, TINY, env), BitwiseError, message);
  }));

Deno.test("pull asks no one with HF_HUB_OFFLINE", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const offline = { HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://127.0.0.1:9" };
    const fails = async (what: string) => {
      const error = await assertRejects(() => pullTiny(hub, folder, TINY, offline), BitwiseError);
      const cache = join(folder, "hf", "hub");
      const why = `HF_HUB_OFFLINE forbids it, and ${cache} lacks it`;
      assertEquals([error.code, error.message], ["offline", `Cannot download ${what}: ${why}`]);
    };
    await fails(REPOSITORY);
    assertEquals(filesIn(folder), []);
    await pullTiny(hub, folder);
    const asked = hub.tokens.length;
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    assertStringIncludes((await pullTiny(hub, folder, TINY, offline)).out, "tiny, ");
    assertEquals(hub.tokens.length, asked);
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    const snapshots = join(folder, "hf", "hub", "models--google--flan-t5-xl", "snapshots");
    await Deno.remove(join(snapshots, COMMIT, TEXT_ENCODER.tokenizer));
    await fails(`${TEXT_ENCODER.tokenizer} of ${TEXT_ENCODER.repository}`);
  }));

Deno.test("pull takes what is in the cache if the hub does not answer", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const closed = `http://127.0.0.1:${listener.addr.port}`;
    listener.close();
    const away = { HF_ENDPOINT: closed };
    const fails = () => assertRejects(() => pullTiny(hub, folder, TINY, away), BitwiseError);
    assertStringIncludes((await fails()).message, `Cannot reach ${closed}: `);
    await pullTiny(hub, folder);
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    const { out, err } = await pullTiny(hub, folder, TINY, away);
    assertStringIncludes(err, `Cannot reach ${closed}: `);
    assertStringIncludes(err, `; looking in ${join(folder, "hf", "hub")}\n`);
    assertStringIncludes(out, "tiny, ");
    // a hub that answers is believed
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    hub.answer = () => new Response("no", { status: 503 });
    assertEquals((await assertRejects(() => pullTiny(hub, folder), BitwiseError)).code, "refused");
  }));

Deno.test("pull makes no links with HF_HUB_DISABLE_SYMLINKS, and shows nothing without progress bars", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const env = { HF_HUB_DISABLE_SYMLINKS: "1", HF_HUB_DISABLE_PROGRESS_BARS: "1" };
    const { err } = await pullTiny(hub, folder, TINY, env);
    assertEquals(err.includes("Downloading"), false);
    const snapshots = join(folder, "hf", "hub", "models--FoundationVision--Infinity", "snapshots");
    const { isFile, isSymlink } = await Deno.lstat(join(snapshots, COMMIT, "infinity_vae_d16.pth"));
    assertEquals([isFile, isSymlink], [true, false]);
  }));

Deno.test("pull resumes after a lost connection", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const fault = { after: 1000, times: 1 };
    hub.faults.set("infinity_vae_d16.pth", fault);
    await pullTiny(hub, folder);
    const asked = hub.asked.filter(({ path }) => path === "infinity_vae_d16.pth");
    assertEquals(asked.map(({ range }) => range), [null, "bytes=1000-"]);
  }));

Deno.test("pull refuses before it downloads", () =>
  inFolder(async (folder) => {
    const fails = async (code: string, message: string, preset?: Preset, change?: {
      [repository: string]: { [path: string]: string | undefined };
    }) => {
      const repositories = tinyRepositories();
      for (const [name, files] of Object.entries(change ?? {})) {
        for (const [path, content] of Object.entries(files)) {
          if (content === undefined) delete repositories[name]![path];
          else repositories[name]![path] = content;
        }
      }
      await using hub = new MockHub(repositories);
      const error = await assertRejects(() => pullTiny(hub, folder, preset), BitwiseError);
      assertEquals([error.code, error.message.includes("\n")], [code, false]);
      assertStringIncludes(error.message, message);
      assert(hub.asked.every(({ path }) => path.endsWith(".json")));
    };
    await fails(
      "unpublished",
      "Cannot pull tiny: it was never published; published models are 125m, 2b, 8b",
      {
        ...TINY,
        file: null,
      },
    );
    const file = (path: string, repository: string) => `Cannot download ${path} of ${repository}: `;
    const missing = { [REPOSITORY]: { "infinity_vae_d16.pth": undefined } };
    await fails("not-found", file("infinity_vae_d16.pth", REPOSITORY), TINY, missing);
    const shard = "tiny_weights/model-00001-of-00002.safetensors";
    const hole = { [REPOSITORY]: { [shard]: undefined } };
    await fails("not-found", file(shard, REPOSITORY), TINY, hole);
    for (const name of ["../x.safetensors", "/x.safetensors", "x.py", 1]) {
      const index = JSON.stringify({ weight_map: { a: name } });
      const change = { [TEXT_ENCODER.repository]: { [TEXT_ENCODER.weights]: index } };
      await fails("bad-index", "must list shards in its own folder", TINY, change);
    }
    await Deno.mkdir(join(folder, "tiny"));
    await Deno.writeTextFile(join(folder, "tiny", "diary.txt"), "");
    await fails("exists", "there are other files in it; name a new folder");
  }));

Deno.test("pull reports failures in one line", () =>
  inFolder(async (cwd) => {
    const junk = new Uint8Array(1000);
    const files = { "infinity_125M_256x256.pth": junk, "infinity_vae_d16.pth": junk };
    const text = {
      [TEXT_ENCODER.weights]: '{"weight_map":{"a":"a.safetensors"}}',
      "a.safetensors": junk,
      [TEXT_ENCODER.tokenizer]: "{}",
    };
    await using hub = new MockHub({ [REPOSITORY]: files, [TEXT_ENCODER.repository]: text });
    const says = async (message: string) => {
      const { code, out, err } = await ended(start(["125m"], cwd, hub.endpoint));
      assertEquals([code, out], [1, ""], err);
      const lines = err.trimEnd().split("\n").filter((line) => !/^(Down|infinity-)/.test(line));
      assertEquals(lines.length, 1, err);
      assertStringIncludes(lines[0]!, `error: ${message}`);
      assertEquals(filesIn(cwd).includes("models"), false);
    };
    hub.answer = () => Response.json({ error: "gated" }, { status: 401 });
    await says(
      `Cannot download ${REPOSITORY}: the hub refuses access (401); accept its licence at`,
    );
    hub.answer = undefined;
    hub.faults.set("infinity_125M_256x256.pth", { bytes: new Uint8Array(1000).fill(1) });
    await says("Cannot use infinity_125M_256x256.pth: its SHA-256 is ");
    hub.faults.set("infinity_125M_256x256.pth", { status: 403 });
    await says(
      `Cannot download infinity_125M_256x256.pth of ${REPOSITORY}: the hub refuses access`,
    );
  }));

/** A hub whose largest file falls silent after 20,000 bytes, and where that file goes. */
function silentHub(cwd: string) {
  const main = Uint8Array.from({ length: 50_000 }, (_, i) => i);
  const name = "infinity_125M_256x256.pth";
  const hub = new MockHub({
    [REPOSITORY]: { [name]: main, "infinity_vae_d16.pth": new Uint8Array(9) },
    [TEXT_ENCODER.repository]: {
      [TEXT_ENCODER.weights]: '{"weight_map":{"a":"a.safetensors"}}',
      "a.safetensors": new Uint8Array(9),
      [TEXT_ENCODER.tokenizer]: "{}",
    },
  });
  hub.faults.set(name, { after: 20_000, hang: true, times: 1 });
  const blobs = join(cwd, "hf", "hub", "models--FoundationVision--Infinity", "blobs");
  const blob = join(blobs, digestOf(main));
  const partial = `${blob}.incomplete`;
  const size = () => Deno.stat(partial).then(({ size }) => size, () => 0);
  /** Starts a download, and waits until it hangs. */
  const hang = async () => {
    const process = start(["125m"], cwd, hub.endpoint);
    for (let i = 0; i < 600 && await size() < 20_000; i++) {
      await new Promise((done) => setTimeout(done, 50));
    }
    return process;
  };
  const ranges = () => hub.asked.filter(({ path }) => path === name).map(({ range }) => range);
  return { hub, main, blob, partial, size, hang, ranges };
}

Deno.test({
  name: "pull keeps what it has at Ctrl-C, and says how to continue",
  ignore: Deno.build.os === "windows", // a child cannot be sent Ctrl-C
  fn: () =>
    inFolder(async (cwd) => {
      const { hub: mock, main, blob, size, hang, ranges } = silentHub(cwd);
      await using hub = mock;
      const process = await hang();
      process.kill("SIGINT");
      const { code, err } = await ended(process);
      assertEquals(code, 130, err);
      const end = "What was downloaded is kept: run the same command to continue\nInterrupted\n";
      assert(err.endsWith(end), err);
      assertEquals(await size(), 20_000);
      assertEquals(filesIn(cwd), ["hf"]);

      await ended(start(["125m"], cwd, hub.endpoint));
      assertEquals(ranges(), [null, "bytes=20000-"]);
      assertEquals(await Deno.readFile(blob), main);
    }),
});

Deno.test("pull continues after kill -9, and refuses what was damaged in between", () =>
  inFolder(async (cwd) => {
    for (const damaged of [false, true]) {
      const { hub: mock, main, blob, partial, size, hang, ranges } = silentHub(cwd);
      await using hub = mock;
      const process = await hang();
      process.kill("SIGKILL");
      await process.output();
      assertEquals(await size(), 20_000);
      if (damaged) await Deno.writeFile(partial, main.slice(0, 20_000).fill(7, 5, 6));
      const { err } = await ended(start(["125m"], cwd, hub.endpoint));
      assertEquals(ranges(), [null, "bytes=20000-"]);
      assertEquals(
        err.includes("it was removed; run it again to download a new copy"),
        damaged,
        err,
      );
      if (damaged) await ended(start(["125m"], cwd, hub.endpoint));
      assertEquals(await Deno.readFile(blob), main);
      assertEquals(filesIn(cwd), ["hf"]);
      await Deno.remove(join(cwd, "hf"), { recursive: true });
    }
  }));

Deno.test("pull leaves a download to the process that has begun it, until that ends", () =>
  inFolder(async (cwd) => {
    const { hub: mock, main, blob, size, hang } = silentHub(cwd);
    await using hub = mock;
    const process = await hang();
    const { code, err } = await ended(start(["125m"], cwd, hub.endpoint));
    assertEquals(code, 1, err);
    assertStringIncludes(err, "another process is downloading it; wait for it to end");
    assertEquals(await size(), 20_000);
    process.kill("SIGKILL");
    await process.output();
    await ended(start(["125m"], cwd, hub.endpoint));
    assertEquals(await Deno.readFile(blob), main);
  }));

Deno.test("pull says which permission it needs, and asks for none", () =>
  refuses(
    ["pull", "2b"],
    1,
    "Cannot download FoundationVision/Infinity: Deno was not allowed to reach 127.0.0.1; run Deno with --allow-net",
    { HF_ENDPOINT: "http://127.0.0.1:9" },
  ));

Deno.test("pull refuses unknown models", async () => {
  await refuses(["pull"], 2, "Cannot pull: give one model, such as 2b; --list shows them");
  await refuses(["pull", "3b"], 2, 'Cannot use preset "3b": it must be one of 125m');
  await refuses(["pull", "1b"], 2, "Cannot pull infinity-1b: it was never published");
});

Deno.test("pull --list shows the models", async () => {
  const { code, out, err } = await ended(start(["--list"], ".", ""));
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "\n2b ");
  assertStringIncludes(out, "not published");
});

Deno.test("nothing but pull loads the hub", async () => {
  for (const root of ["mod.ts", "commands/generate.ts", "commands/convert.ts"]) {
    const path = fromFileUrl(new URL(`../../${root}`, import.meta.url));
    const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", path] });
    const graph = new TextDecoder().decode((await command.output()).stdout);
    assertStringIncludes(graph, "engine/base/errors.ts");
    assertEquals(/npm:\/?@huggingface\/hub|model\/hub/.test(graph), false, root);
  }
});
