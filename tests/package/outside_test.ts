/**
 * Imports the library from a project of its own, whose deno.json is empty. The imports must resolve, have types and
 * run.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { PNG } from "pngjs";
import { Buffer } from "node:buffer";

const PACKAGE = fromFileUrl(new URL("../..", import.meta.url));
const MODEL = join(PACKAGE, "assets", "models", "emoji-nano");

const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
const DENO_DIR: string = JSON.parse(new TextDecoder().decode(info.stdout)).denoDir;

/** Generates an image; the folder of the model is optional. */
const MAIN = (entry: string) => `
import { InfinityModel, type Result } from "${entry}";

using model = await InfinityModel.load(Deno.args[1]);
const result: Result = await model.generate("red apple", { seed: 7 });
const { width, height } = result.images[0]!;
await Deno.writeFile(Deno.args[0]!, result.images[0]!.toPng());
console.log(width, height);
`;

const TEST = (entry: string) => `
import { encodePng } from "${entry}";
import { psnr } from "${entry.replace(/mod.ts$/, "model/analysis.ts")}";
import { grid } from "${entry.replace(/mod.ts$/, "engine/mod.ts")}";
import type { SamplingOptions } from "${entry.replace(/mod.ts$/, "model/types.ts")}";

export const options: SamplingOptions = { cfgScale: 3 };
export const numbers: number[] = [grid(1)[0], psnr({ width: 1, height: 1, rgba: new Uint8Array(4) }, {
  width: 1,
  height: 1,
  rgba: new Uint8Array(4),
})];

Deno.test("encodePng() makes a PNG", () => {
  if (encodePng(new Uint8Array(4), 1, 1)[1] !== "P".charCodeAt(0)) throw new Error("not a PNG");
});
`;

/** A folder with main.ts, main_test.ts and an empty deno.json. */
async function makeProject(entry: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "bitwise-outside-" });
  await Deno.writeTextFile(join(folder, "deno.json"), "{}");
  await Deno.writeTextFile(join(folder, "main.ts"), MAIN(entry));
  await Deno.writeTextFile(join(folder, "main_test.ts"), TEST(entry));
  return folder;
}

/** Runs a program in a folder. */
async function run(
  cwd: string,
  program: string,
  args: string[],
  extra?: Record<string, string>,
) {
  // a cache of its own for models, but that of Deno
  const cache = join(cwd, "cache");
  const env = { NO_COLOR: "1", DENO_DIR, XDG_CACHE_HOME: cache, LOCALAPPDATA: cache, ...extra };
  const output = await new Deno.Command(program, { args, cwd, env }).output();
  const [out, err] = [output.stdout, output.stderr].map((text) => new TextDecoder().decode(text));
  return { code: output.code, out: out!, err: err! };
}

/** Runs `deno`, which must succeed. @returns What it wrote on stdout. */
async function deno(cwd: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await run(cwd, Deno.execPath(), args);
  assertEquals(code, 0, `deno ${args.join(" ")}\n${out}${err}`);
  return out;
}

async function assertApple(path: string): Promise<void> {
  const { width, height, data } = PNG.sync.read(Buffer.from(await Deno.readFile(path)));
  assertEquals([width, height], [32, 32]);
  assert(new Set(data).size > 100, "an image has many values");
}

Deno.test("A project that imports mod.ts by path", async (t) => {
  const cwd = await makeProject(join(PACKAGE, "mod.ts"));

  await t.step("deno check, of all that the command line imports too", async () => {
    await deno(cwd, "check", "--quiet", "main.ts", "main_test.ts", join(PACKAGE, "cli.ts"));
  });
  await t.step("deno run, in which the library prints nothing", async () => {
    const args = ["run", "-A", "--quiet", "main.ts", "apple.png"];
    const output = await run(cwd, Deno.execPath(), args, {
      XDG_RUNTIME_DIR: "",
      BITWISE_DEBUG: "",
    });
    assertEquals(output, { code: 0, out: "32 32\n", err: "" });
    await assertApple(join(cwd, "apple.png"));
  });
  await t.step("deno test", async () => {
    assertStringIncludes(await deno(cwd, "test", "-A"), "1 passed");
  });
  await t.step("deno bundle, with the model's folder", async () => {
    await deno(cwd, "bundle", "--quiet", "-o", "dist/js/bundle.js", "main.ts");
    await deno(cwd, "run", "-A", "dist/js/bundle.js", "bundled.png", MODEL);
    await assertApple(join(cwd, "bundled.png"));
  });
  await t.step("deno bundle, without the model and offline, says how to pass it", async () => {
    const args = ["run", "-A", "dist/js/bundle.js", "x.png"];
    const offline = { BITWISE_MODELS_URL: "http://localhost:1/" };
    const { code, err } = await run(cwd, Deno.execPath(), args, offline);
    assertEquals(code, 1);
    assertStringIncludes(err, "give the path of a model folder");
  });

  const compile = ["compile", "--quiet", "-A", "--include", MODEL, "-o", "program", "main.ts"];
  const compiled = await run(cwd, Deno.execPath(), compile);
  // the program it builds on is a download of its own, which a machine without internet lacks
  const ignore = compiled.err.includes("dl.deno.land");
  await t.step({
    name: `deno compile${ignore ? " (ignored: cannot download denort)" : ""}`,
    ignore,
    async fn() {
      assertEquals(compiled.code, 0, compiled.err);
      const { code, err } = await run(cwd, join(cwd, "program"), ["compiled.png"]);
      assertEquals(code, 0, err);
      await assertApple(join(cwd, "compiled.png"));
    },
  });
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("A project that imports mod.ts from a web server", async (t) => {
  await using server = Deno.serve({ port: 0, onListen: () => {} }, async ({ url }) => {
    const path = join(PACKAGE, decodeURIComponent(new URL(url).pathname));
    const file = await Deno.readFile(path).catch(() => null);
    const type = path.endsWith(".ts") ? "application/typescript" : "application/octet-stream";
    return new Response(file, { status: file ? 200 : 404, headers: { "content-type": type } });
  });
  const host = `localhost:${server.addr.port}`;
  const cwd = await makeProject(`http://${host}/mod.ts`);
  const allow = `--allow-import=${host}`;

  await t.step("deno check", async () => {
    await deno(cwd, "check", "--quiet", allow, "main.ts", "main_test.ts");
  });
  await t.step("deno run, which fetches the model too", async () => {
    assertEquals(await deno(cwd, "run", "-A", "main.ts", "apple.png"), "32 32\n");
    await assertApple(join(cwd, "apple.png"));
  });
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("deno install makes a command of cli.ts in a checkout", async () => {
  const root = await Deno.makeTempDir({ prefix: "bitwise-outside-" });
  const cli = join(PACKAGE, "cli.ts");
  const flags = ["--allow-read", "--allow-write", "--allow-env"];
  await deno(root, "install", "--quiet", "-g", ...flags, "--root", root, "-n", "bitwise", cli);
  const command = join(root, "bin", Deno.build.os === "windows" ? "bitwise.cmd" : "bitwise");
  const { code, err } = await run(root, command, ["generate", "red apple", "-o", "apple.png"]);
  assertEquals(code, 0, err);
  await assertApple(join(root, "apple.png"));
  await Deno.remove(root, { recursive: true });
});

Deno.test("deno.json and deps/ name the same versions", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(join(PACKAGE, "deno.json")));
  const specifiers = Object.values(imports as Record<string, string>);
  const versions = new Map(
    specifiers.flatMap((specifier) => [...specifier.matchAll(/^npm:(.+)@([\d.]+)/g)])
      .map(([, name, version]) => [name, version]),
  );
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) await walk(path);
      if (isDirectory || !name.endsWith(".ts")) continue;
      for (
        const [, name, version] of (await Deno.readTextFile(path)).matchAll(/"npm:(.+)@([\d.]+)/g)
      ) {
        assertEquals(version, versions.get(name) ?? version, `${path} has another ${name}`);
      }
    }
  };
  await walk(join(PACKAGE, "deps"));
  assert(versions.has("deno-std") && versions.has("pngjs"));
});
