/**
 * `deno task build:browser`: writes a static site that draws pictures on the GPU of whoever looks at it, to
 * dist/browser. Takes `--model`, a folder or the name of a model of the box, and `--output`, another folder.
 *
 * @module
 */

import { parseArgs } from "../deps/@std/cli/parse-args.ts";
import { dirname, fromFileUrl, join } from "../deps/@std/path.ts";
import { BitwiseError, formatBytes, readIndex } from "../engine/mod.ts";
import { findModel } from "../model/checkpoint/find_model.ts";
import { fileSource, makeFolder, writeFileAtomic } from "../model/checkpoint/files.ts";
import { openFolder } from "../model/checkpoint/folder.ts";
import { parseConfig } from "../model/config/config.ts";
import { bundle, bundleEngine } from "./bundle.ts";

const SITE = new URL("site/", import.meta.url);
/** Bytes that are copied at once. */
const PIECE = 2 ** 24;

/** Builds the site: its page, the engine, and the files of a model. */
export async function buildSite(folder: string, model?: string): Promise<void> {
  await bundleEngine(folder);
  await bundle(new URL("main.ts", SITE), join(folder, "browser.js"));
  await copy(fromFileUrl(new URL("browser.html", SITE)), join(folder, "browser.html"));
  await copyModel(join(folder, "model"), model);
}

/**
 * Copies what the engine loads of a model to a folder.
 *
 * @param model A folder or a name, as {@linkcode findModel} takes it.
 */
async function copyModel(to: string, model?: string): Promise<void> {
  const files = openFolder(await findModel(model));
  const { files: named, text_encoder } = parseConfig(
    await files.json("config.json"),
    files.path("config.json"),
  );
  const text = text_encoder ? [named.tokenizer, named.text_encoder] : [];
  for (const name of ["config.json", named.transformer, named.vae, ...text]) {
    for (const part of await partsOf(files.path(name))) {
      const target = join(to, name, "..", part.slice(dirname(part).length));
      await copy(part, target);
    }
  }
}

/** A file, or its index and its shards. */
async function partsOf(path: string): Promise<string[]> {
  if (await Deno.stat(path).then(() => true, () => false)) return [path];
  const index = `${path}.index.json`;
  const source = await fileSource(index);
  const { tensorsOf } = await readIndex(source).finally(() => source.close());
  return [index, ...Array.from(tensorsOf.keys(), (shard) => join(dirname(path), shard))];
}

async function copy(from: string, to: string): Promise<void> {
  const source = await fileSource(from);
  async function* pieces() {
    for (let at = 0; at < source.size; at += PIECE) {
      yield await source.read(at, Math.min(PIECE, source.size - at));
    }
  }
  try {
    await makeFolder(dirname(to));
    await writeFileAtomic(to, pieces());
  } finally {
    source.close();
  }
}

/** Bytes of the files of a folder. */
async function sizeOf(folder: string): Promise<number> {
  let sum = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    sum += isDirectory ? await sizeOf(path) : (await Deno.stat(path)).size;
  }
  return sum;
}

if (import.meta.main) {
  const { model, output } = parseArgs(Deno.args, { string: ["model", "output"] });
  const folder = output || fromFileUrl(new URL("../dist/browser", import.meta.url));
  try {
    await buildSite(folder, model || undefined);
    console.log(`${join(folder, "browser.html")}: ${formatBytes(await sizeOf(folder))}`);
  } catch (error) {
    if (!(error instanceof BitwiseError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
