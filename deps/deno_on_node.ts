/**
 * Lets a bundle of the library run on Node 24 and newer: provides the parts of `Deno` that loading and generating use,
 * where there is no Deno. Import it before the library, and pass the GPU of `npm:webgpu`.
 *
 * @example
 * ```ts ignore
 * import "@bitwise/infinity/node";
 * import { InfinityModel } from "@bitwise/infinity";
 * import { create, globals } from "webgpu";
 *
 * Object.assign(globalThis, globals);
 * using model = await InfinityModel.load("path/to/emoji-nano", { gpu: create([]) });
 * ```
 *
 * @module
 */

import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import process from "node:process";

const OS: Readonly<Record<string, string>> = { win32: "windows" };

const errors = Object.fromEntries(
  ["NotFound", "NotADirectory", "IsADirectory", "AlreadyExists", "PermissionDenied", "NotCapable"]
    .map((name) => [name, class extends Error {}]),
) as Record<string, new (message?: string) => Error>;

/** Names of Deno's errors by the codes of the system. */
const CODES: Readonly<Record<string, string>> = {
  ENOENT: "NotFound",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  EEXIST: "AlreadyExists",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
};

/** Rejects as Deno does. */
async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const name = CODES[(error as { code?: string }).code ?? ""];
    throw name ? new errors[name]!((error as Error).message) : error;
  }
}

const infoOf = (info: Awaited<ReturnType<typeof fs.stat>>) => ({
  size: Number(info.size),
  isFile: info.isFile(),
  isDirectory: info.isDirectory(),
});

/** An open file with the position that Node keeps to itself. */
class OpenFile {
  #position = 0;

  constructor(private readonly handle: fs.FileHandle) {}

  async stat() {
    return infoOf(await this.handle.stat());
  }

  seek(offset: number): Promise<number> {
    this.#position = offset;
    return Promise.resolve(offset);
  }

  async read(into: Uint8Array): Promise<number | null> {
    const { bytesRead } = await this.handle.read(into, 0, into.length, this.#position);
    this.#position += bytesRead;
    return bytesRead === 0 && into.length > 0 ? null : bytesRead;
  }

  close(): void {
    this.handle.close().catch(() => {});
  }
}

async function* readDir(path: string | URL) {
  for (const entry of await translated(fs.readdir(path, { withFileTypes: true }))) {
    yield { name: entry.name, isFile: entry.isFile(), isDirectory: entry.isDirectory() };
  }
}

/** What the library uses of Deno to load a model and generate. */
const onNode = {
  build: { os: OS[process.platform] ?? process.platform },
  errors,
  SeekMode: { Start: 0 },
  env: {
    get: (name: string) => process.env[name],
    has: (name: string) => process.env[name] !== undefined,
    set: (name: string, value: string) => void (process.env[name] = value),
  },
  permissions: { querySync: () => ({ state: "granted" }) },
  stat: async (path: string | URL) => infoOf(await translated(fs.stat(path))),
  open: async (path: string | URL) => new OpenFile(await translated(fs.open(path))),
  readFile: (path: string | URL) => translated(fs.readFile(path)),
  readTextFile: (path: string | URL) => translated(fs.readFile(path, "utf8")),
  readTextFileSync: (path: string | URL) => readFileSync(path, "utf8"),
  readDir,
};

if (!("Deno" in globalThis)) {
  Object.defineProperty(globalThis, "Deno", { value: onNode, configurable: true });
}
