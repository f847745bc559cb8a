import { checkName } from "./names.ts";
import type { Store } from "./store.ts";
import { FileError, formatBytes, quote } from "../../engine/mod.ts";

/** Keeps files in memory until there are more bytes than it may hold; then the oldest go. */
export class MemoryStore implements Store {
  /** The oldest first. */
  readonly #files: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  #bytes = 0;

  /** Keeps at most `maxBytes`. */
  constructor(private readonly maxBytes: number) {}

  /** Keeps a file. @throws {InputError} @throws {FileError} `too-large`: it alone has more bytes than may be kept. */
  // deno-lint-ignore require-await -- what it throws is a rejection, as of other stores
  async put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    checkName(name);
    if (bytes.length > this.maxBytes) {
      const [size, limit] = [bytes.length, this.maxBytes].map(formatBytes);
      throw new FileError("too-large", `Cannot keep ${quote(name)}: it has ${size} of ${limit}`);
    }
    this.#drop(name);
    this.#files.set(name, bytes);
    this.#bytes += bytes.length;
    for (const oldest of this.#files.keys()) {
      if (this.#bytes <= this.maxBytes) break;
      this.#drop(oldest);
    }
  }

  /** Returns a file that is still kept. */
  get(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.#files.get(name) ?? null);
  }

  /** Whether a file is still kept. */
  has(name: string): Promise<boolean> {
    return Promise.resolve(this.#files.has(name));
  }

  #drop(name: string): void {
    this.#bytes -= this.#files.get(name)?.length ?? 0;
    this.#files.delete(name);
  }
}
