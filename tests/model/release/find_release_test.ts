import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { BitwiseError, CheckpointError } from "../../../engine/mod.ts";
import { findRelease, presetOf } from "../../../model/release/find_release.ts";
import { inFolder } from "../../commands/process.ts";
import { TINY, tinyRepositories } from "./tiny_release.ts";

const [OLD, NEW] = ["1".repeat(40), "f".repeat(40)];

async function put(path: string, content: string | Uint8Array): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes);
}

/** Makes a cache of the hub with two snapshots of each repository, and returns its folders. */
async function twoSnapshots(cache: string, main: string | null): Promise<string[]> {
  const folders: string[] = [];
  for (const [name, files] of Object.entries(tinyRepositories())) {
    const folder = join(cache, `models--${name.replaceAll("/", "--")}`);
    folders.push(folder);
    if (main !== null) await put(join(folder, "refs", "main"), main);
    for (const commit of [OLD, NEW]) {
      for (const [file, content] of Object.entries(files)) {
        await put(join(folder, "snapshots", commit, file), content);
      }
    }
  }
  return folders;
}

async function allOf(folder: string, commit: string): Promise<void> {
  const { transformer, vae, text } = await findRelease(folder, TINY);
  const files = [transformer, vae, text!.weights, text!.tokenizer];
  assert(files.every((path) => path.includes(commit)), files.join());
}

Deno.test("findRelease() takes the snapshot that refs/main names", () =>
  inFolder(async (cache) => {
    await twoSnapshots(cache, NEW);
    await allOf(cache, NEW);
    await twoSnapshots(cache, `${OLD}\n`);
    await allOf(cache, OLD);
  }));

Deno.test("findRelease() takes the only snapshot, whatever refs/main says", () =>
  inFolder(async (cache) => {
    for (const folder of await twoSnapshots(cache, "0".repeat(40))) {
      await Deno.remove(join(folder, "snapshots", NEW), { recursive: true });
    }
    await allOf(cache, OLD);
  }));

Deno.test("findRelease() says which snapshots there are if none is chosen", () =>
  inFolder(async (cache) => {
    for (const main of [null, "0".repeat(40)]) {
      const [model] = await twoSnapshots(cache, main);
      const error = await assertRejects(() => findRelease(cache, TINY), CheckpointError);
      assertEquals(error.code, "file-missing");
      const snapshots = JSON.stringify(join(model!, "snapshots"));
      const some = `${OLD.slice(0, 12)}, ${NEW.slice(0, 12)}`;
      const why = `${snapshots} has several (${some}) and no refs/main, so give one of them`;
      assertStringIncludes(error.message, why);
      const unknown = await assertRejects(() => presetOf(cache), BitwiseError, why);
      assertEquals(unknown.code, "unknown-preset");
    }
  }));

Deno.test("findRelease() takes the snapshot that is given", () =>
  inFolder(async (cache) => {
    const [model, text] = await twoSnapshots(cache, null);
    const given = join(cache, "given");
    await Deno.mkdir(given);
    await Deno.symlink(join(model!, "snapshots", OLD), join(given, "model"));
    await Deno.symlink(join(text!, "snapshots", OLD), join(given, "t5"));
    const { vae } = await findRelease(given, TINY);
    assertStringIncludes(await Deno.realPath(vae), OLD);
  }));

Deno.test("findRelease() takes every folder of snapshots that is not a cache", () =>
  inFolder(async (folder) => {
    const [model, text] = Object.values(tinyRepositories());
    for (const [path, content] of Object.entries(model!)) {
      await put(join(folder, "snapshots", "a", path), content);
    }
    for (const [path, content] of Object.entries(text!)) {
      await put(join(folder, "snapshots", "b", path), content);
    }
    assertStringIncludes((await findRelease(folder, TINY)).vae, join("snapshots", "a"));
  }));

Deno.test("findRelease() ends in a folder of loops", () =>
  inFolder(async (folder) => {
    for (let i = 0; i < 12; i++) await Deno.symlink(folder, join(folder, `loop${i}`));
    const error = await assertRejects(() => findRelease(folder, TINY), BitwiseError);
    assertEquals(error.code, "too-many-files");
  }));
