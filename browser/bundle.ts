/** Bundles for browsers: `deno bundle`, with browser/import_map.json in place of what needs Deno. */

import { fromFileUrl, join } from "../deps/@std/path.ts";
import { BitwiseError } from "../engine/mod.ts";
import { makeFolder } from "../model/checkpoint/files.ts";

/** The engine's bundles, by their names, and what is in them. */
const ENGINE = {
  "engine.js": new URL("mod.ts", import.meta.url),
  "engine_worker.js": new URL("../serve/engine/gpu_thread.ts", import.meta.url),
} as const;

const IMPORT_MAP = new URL("import_map.json", import.meta.url);

/**
 * Writes `engine.js`, the client that mod.ts describes, and `engine_worker.js`, which it starts, to a folder.
 *
 * @throws {BitwiseError} `no-bundle`: Deno cannot bundle it; the message has its first line.
 * @throws {FileError} The folder cannot be made.
 */
export async function bundleEngine(folder: string): Promise<void> {
  await makeFolder(folder);
  for (const [name, module] of Object.entries(ENGINE)) await bundle(module, join(folder, name));
}

/** Bundles a module and what it imports to a file. @throws {BitwiseError} `no-bundle`. */
export async function bundle(module: URL, file: string): Promise<void> {
  const map = `--import-map=${fromFileUrl(IMPORT_MAP)}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--minify", "--platform=browser", map, "-o", file, module.href],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const why = new TextDecoder().decode(stderr).split("\n").find((line) => line.trim() !== "");
  throw new BitwiseError("no-bundle", `Cannot bundle ${module.href}: ${why}`);
}
