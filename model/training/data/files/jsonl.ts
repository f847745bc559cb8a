/**
 * Folders of lines of JSON, as the official code reads them: `{image_path, h_div_w, long_caption, long_caption_type,
 * text}` in files such as `1.000_000002500.jsonl` (infinity/dataset/dataset_t2i_iterable.py).
 */

import { type ByteSource, FileError, isObject, quote } from "../../../../engine/mod.ts";
import { basename, dirname, join, resolve } from "../../../../deps/@std/path.ts";
import { fileSource } from "../../../checkpoint/files.ts";
import type { Draws } from "../base/draws.ts";
import { emptySet, type Example, folderError, type ImageSet } from "./image_set.ts";

/** How often the official code takes the short caption (`short_cap_prob` in infinity/utils/arg_util.py). */
const SHORT = 0.2;
/** A first sentence of so many words is a short caption by itself. */
const LONG_SENTENCE = 15;
/** Bytes that are read at a time, and the most of a line. */
const [CHUNK, MOST_LINE] = [2 ** 20, 2 ** 20];

/** What a line says. */
export interface JsonlEntry {
  /** As it stands there. */
  readonly path: string;
  /** Height over width. */
  readonly ratio: number;
  /** Empty if there is none; one of the two is not. */
  readonly long: string;
  readonly short: string;
  /** Whether a person wrote the long caption, which is then never cut. */
  readonly written: boolean;
}

/**
 * Reads a line.
 *
 * @param where File and line, for messages.
 * @throws {FileError} `bad-line`: it is not JSON, or a field is missing or of another type.
 */
export function readLine(line: string, where: string): JsonlEntry {
  const refuse = (why: string, cause?: unknown): never => {
    throw new FileError("bad-line", `Cannot read ${where}: ${why}`, { cause });
  };
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    return refuse("it is not JSON", cause);
  }
  if (!isObject(json)) return refuse("it is not an object");
  const text = (key: string): string => {
    const value = json[key] ?? "";
    return typeof value === "string" ? value : refuse(`${key} must be a text`);
  };
  const path = text("image_path");
  const [long, short] = [text("long_caption").trim(), text("text").trim()];
  if (path === "" || path.includes("\0")) refuse("image_path must be the path of an image");
  if (long === "" && short === "") refuse("it has neither long_caption nor text");
  const ratio = json.h_div_w;
  if (typeof ratio !== "number" || !(ratio > 0)) {
    return refuse("h_div_w must be the image's height over its width");
  }
  const written = (text("long_caption_type") || "user_prompt") === "user_prompt";
  return { path, ratio, long, short, written };
}

/**
 * Draws a caption as `get_text_input` and `process_short_text` of the official code do: in a fifth the short one, or the
 * beginning of the long one; otherwise the long one, of which some sentences at the end may be left out. What follows
 * `--` is not part of a caption.
 */
export function drawCaption({ long, short, written }: JsonlEntry, draws: Draws): string {
  const drawn = draws.odds(SHORT)
    ? short || beginning(long, written)
    : shortened(long, written, draws) || short;
  // of "." or "--" alone nothing would be left
  return [drawn.split("--")[0]!, drawn, long].map((text) => text.trim()).find(Boolean)!;
}

function sentences(text: string): string[] {
  return text.split(".").filter((sentence) => sentence !== "");
}

/** Sentences that make a short caption. */
function fewest(all: readonly string[]): number {
  const words = (all[0] ?? "").split(" ").filter((word) => word !== "");
  return words.length >= LONG_SENTENCE ? 1 : 2;
}

function beginning(long: string, written: boolean): string {
  if (written) return long;
  const all = sentences(long);
  return all.slice(0, fewest(all)).join(".");
}

function shortened(long: string, written: boolean, draws: Draws): string {
  const all = sentences(long);
  const least = fewest(all) + 1;
  if (written || all.length < least) return long;
  return all.slice(0, least + draws.below(all.length - least + 1)).join(".");
}

/** A file of lines. */
interface Lines {
  readonly source: Required<ByteSource>;
  /** What paths of images are relative to. */
  readonly root: string;
}

/** Where a line is, and what its image is like. */
interface Place {
  readonly file: number;
  readonly start: number;
  readonly length: number;
  readonly line: number;
  readonly ratio: number;
}

/**
 * Opens a folder of such files. Every line is checked; of a line only its place is kept in memory.
 *
 * Paths of images that are not absolute are relative to the folder, or to one that it lies in: the nearest in which the
 * first image of a file exists. Otherwise they are relative to the working folder, as in the official code.
 *
 * @throws {FileError} `bad-line`: a line is not as it must be; `empty-set`: there are none; or the folder cannot be read.
 */
export async function openJsonlFolder(folder: string): Promise<ImageSet> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (/\.jsonl$/i.test(name)) names.push(name);
  } catch (cause) {
    throw folderError(folder, cause);
  }
  const files: Lines[] = [];
  const places: Place[] = [];
  try {
    for (const name of names.sort()) {
      if (name.startsWith(".")) continue;
      const source = await fileSource(join(folder, name));
      const found = files.push({ source, root: folder }) - 1;
      let root: string | undefined;
      for await (const { text, ...place } of linesOf(source)) {
        const entry = readLine(text, `${quote(source.name)}, line ${place.line}`);
        root ??= await rootOf(folder, entry.path);
        places.push({ ...place, file: found, ratio: entry.ratio });
      }
      files[found] = { source, root: root ?? folder };
    }
    if (places.length === 0) {
      const files = names.length > 0 ? "its .jsonl files have no lines" : "it has no .jsonl files";
      throw emptySet(folder, files);
    }
  } catch (error) {
    for (const { source } of files) source.close();
    throw error;
  }
  return new JsonlFolder(folder, files, places);
}

class JsonlFolder implements ImageSet {
  constructor(
    readonly name: string,
    private readonly files: readonly Lines[],
    private readonly places: readonly Place[],
  ) {}

  get count(): number {
    return this.places.length;
  }

  async example(index: number): Promise<Example> {
    const { file, start, length, line } = this.places[index]!;
    const { source, root } = this.files[file]!;
    const text = new TextDecoder().decode(await source.read(start, length));
    const entry = readLine(text, `${quote(source.name)}, line ${line}`);
    return { path: resolve(root, entry.path), caption: (draws) => drawCaption(entry, draws) };
  }

  ratio(index: number): number {
    return this.places[index]!.ratio;
  }

  key(index: number): string {
    const { file, line } = this.places[index]!;
    return `${basename(this.files[file]!.source.name)}:${line}`;
  }

  dispose(): void {
    for (const { source } of this.files) source.close();
  }
}

/** The folder that a path is relative to. */
async function rootOf(folder: string, path: string): Promise<string> {
  for (let root = resolve(folder);; root = dirname(root)) {
    if (await Deno.stat(resolve(root, path)).then(() => true, () => false)) return root;
    if (dirname(root) === root) return ".";
  }
}

/** Lines that are not empty, with their places in bytes and their numbers from 1. */
async function* linesOf(source: ByteSource) {
  let rest = new Uint8Array();
  let start = 0;
  let line = 0;
  for (let at = 0; at < source.size; at += CHUNK) {
    const chunk = await source.read(at, Math.min(CHUNK, source.size - at));
    const last = at + CHUNK >= source.size;
    const bytes = new Uint8Array(rest.length + chunk.length + (last ? 1 : 0));
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    if (last) bytes[bytes.length - 1] = 10; // the last line may lack its end
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      line++;
      const text = new TextDecoder().decode(bytes.subarray(from, end));
      if (text.trim() !== "") yield { text, start: start + from, length: end - from, line };
      from = end + 1;
    }
    rest = bytes.slice(from);
    start += from;
    if (rest.length <= MOST_LINE) continue;
    const where = `${quote(source.name)}, line ${line + 1}`;
    throw new FileError("bad-line", `Cannot read ${where}: it has more than ${MOST_LINE} bytes`);
  }
}
