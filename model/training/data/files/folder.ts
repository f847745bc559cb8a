/** A folder of images, each with a text file of the same name. */

import { FileError, quote } from "../../../../engine/mod.ts";
import { join } from "../../../../deps/@std/path.ts";
import { readSmallFile } from "../../../checkpoint/files.ts";
import { openImage } from "../../../image/read_image.ts";
import type { Draws } from "../base/draws.ts";
import { emptySet, folderError, type ImageSet, type SetOptions, some } from "./image_set.ts";

const IMAGE = /\.(png|jpe?g|webp)$/i;
const CAPTION = /\.txt$/i;
/** The most bytes of a caption file, and of an image. */
const [MOST_TEXT, MOST_BYTES] = [2 ** 16, 2 ** 28];
/** Caption files that are read at a time. */
const AT_A_TIME = 16;

/** An image and what its text file says. */
interface Entry {
  /** Its path in the folder, parts joined by slashes. */
  readonly key: string;
  readonly captions: readonly string[];
}

/**
 * Opens a folder of `NAME.png`, `.jpg`, `.jpeg` or `.webp` with `NAME.txt`, also in folders within. Each line of a text
 * file is a caption, of which each use draws one. What begins with a dot is left out.
 *
 * Texts without an image, images without a text, and images of one name but different formats are left out with a
 * warning.
 *
 * @throws {FileError} `empty-set`: nothing is left; `file-unreadable`, `file-not-found`, `not-a-folder`: the folder or
 * one within cannot be listed; `bad-text`: a text is not UTF-8.
 */
export async function openImageFolder(
  root: string,
  { uncaptioned, onWarning }: SetOptions,
): Promise<ImageSet> {
  const files = (await listFiles(root)).sort();
  const texts = new Map(files.filter(isCaption).map((file) => [stem(file), file]));
  const images = new Map<string, string>();
  const twins: string[] = [];
  for (const file of files.filter((file) => IMAGE.test(file))) {
    if (images.has(stem(file))) twins.push(file);
    else images.set(stem(file), file);
  }
  const entries: Entry[] = [];
  const found = [...images];
  for (let at = 0; at < found.length; at += AT_A_TIME) {
    const some = found.slice(at, at + AT_A_TIME).map(async ([name, key]) => {
      const text = texts.get(name);
      return { key, captions: text === undefined ? [] : await readCaptions(join(root, text)) };
    });
    entries.push(...await Promise.all(some));
  }
  const usable = uncaptioned ? entries : entries.filter(({ captions }) => captions.length > 0);
  const silent = entries.filter(({ captions }) => captions.length === 0).map(({ key }) => key);
  const lost = [...texts].filter(([name]) => !images.has(name)).map(([, file]) => file);
  const warn = (names: readonly string[], one: string, several: string) => {
    if (names.length === 0) return;
    const what = names.length === 1 ? `1 ${one} and is` : `${names.length} ${several} and are`;
    onWarning(`${quote(root)}: ${what} left out: ${some(names)}`);
  };
  warn(lost, "text has no image", "texts have no image");
  warn(twins, "image has the name of another", "images have the names of others");
  if (!uncaptioned) warn(silent, "image has no caption", "images have no caption");
  if (usable.length === 0) {
    const why = images.size > 0
      ? `none of its ${images.size} images has a caption; write one into ${
        quote(`${stem(silent[0]!)}.txt`)
      }`
      : "it has no PNG, JPEG or WebP images";
    throw emptySet(root, why);
  }
  return new ImageFolder(root, usable);
}

class ImageFolder implements ImageSet {
  constructor(readonly name: string, private readonly entries: readonly Entry[]) {}

  get count(): number {
    return this.entries.length;
  }

  example(index: number) {
    const captions = this.captions(index);
    return { path: this.#path(index), caption: (draws: Draws) => draws.of(captions) };
  }

  captions(index: number): readonly string[] {
    const { captions } = this.entries[index]!;
    return captions.length > 0 ? captions : [""];
  }

  async ratio(index: number): Promise<number> {
    const path = this.#path(index);
    const { width, height } = await openImage(await readSmallFile(path, MOST_BYTES), path);
    return height / width;
  }

  key(index: number): string {
    return this.entries[index]!.key;
  }

  #path(index: number): string {
    return join(this.name, this.key(index));
  }

  dispose(): void {}
}

/** A path without its last extension. */
function stem(file: string): string {
  return file.replace(/\.[^./]*$/, "");
}

function isCaption(file: string): boolean {
  return CAPTION.test(file);
}

/** Paths of the files of a folder and those within, parts joined by slashes. Links to folders are not followed. */
async function listFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const { name, isDirectory } of Deno.readDir(join(root, folder || "."))) {
        if (name.startsWith(".")) continue;
        if (isDirectory) folders.push(`${folder}${name}/`);
        else files.push(folder + name);
      }
    } catch (cause) {
      throw folderError(join(root, folder || "."), cause);
    }
  }
  return files;
}

async function readCaptions(path: string): Promise<string[]> {
  const bytes = await readSmallFile(path, MOST_TEXT);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = `Cannot read ${quote(path)}: it is not UTF-8 text; save it as UTF-8`;
    throw new FileError("bad-text", message, { cause });
  }
  return text.split(/\r\n|\r|\n/).map((line) => line.trim()).filter((line) => line !== "");
}
