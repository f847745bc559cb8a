/** From lines of prompts to images, each with a name that follows from what it shows. */

import { createHash } from "node:crypto";
import { InputError, quote } from "../../engine/mod.ts";
import type { JobSettings } from "../jobs/job.ts";
import { badLine, type Line, readLine } from "./fields.ts";

/** An image to make. */
export interface Wanted {
  /** Names its files: that of its line, or the beginning of the prompt and {@link Wanted.key}. */
  readonly id: string;
  /** 12 hexadecimal digits that follow from everything that the image depends on, but for the model. */
  readonly key: string;
  /** The number of its line. */
  readonly line: number;
  readonly prompt: string;
  readonly seed: string;
  /** Settings without images. */
  readonly settings: Line["settings"];
  /** The paths of an image to edit, and of its mask. */
  readonly init?: string;
  readonly mask?: string;
}

/** What a list of prompts asks for. */
export interface Wish {
  /** In the order of their lines. */
  readonly images: readonly Wanted[];
  /** Lines that are wrong: their numbers, and why. */
  readonly broken: readonly { readonly line: number; readonly why: string }[];
  /** Images that are asked for again, word by word, and are made once. */
  readonly repeated: number;
}

/** How lines are completed and checked. */
export interface WishOptions {
  /** Seed of a line that has none. */
  readonly seed: bigint;
  /** Settings of lines that say nothing else. */
  readonly defaults: JobSettings;
  /** A digest of a file that a line names. @throws {FileError} It is missing. */
  readonly digest: (path: string) => Promise<string>;
  /** Checks a line further, by the model. @throws {InputError | FileError} */
  readonly check?: (line: Line) => Promise<void>;
}

/** The most images of a list. */
const MAX_IMAGES = 1_000_000;
/** The most characters of a prompt in the name of a file. */
const SLUG = 40;

/**
 * Reads a list of prompts, a line each: JSON or plain text. Empty lines are skipped.
 *
 * @throws {InputError} `too-many`
 */
export async function readWish(text: string, options: WishOptions): Promise<Wish> {
  const images: Wanted[] = [];
  const broken: { line: number; why: string }[] = [];
  /** Keys and lines by id, in lower case: some systems do not tell Cat from cat. */
  const known = new Map<string, Wanted>();
  let repeated = 0;
  for (const [i, content] of text.split(/\r?\n/).entries()) {
    if (!content.trim()) continue;
    try {
      const line = completed(readLine(content, i + 1), options);
      await options.check?.(line);
      const wanted = await imagesOf(line, options);
      const taken = wanted.map((image) => known.get(image.id.toLowerCase()));
      const other = taken.find((image, i) => image && image.key !== wanted[i]!.key);
      if (other) throw badLine(`its id ${quote(other.id)} is that of line ${other.line}`);
      for (const [i, image] of wanted.entries()) {
        if (taken[i]) repeated++;
        else images.push(image);
        known.set(image.id.toLowerCase(), image);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      broken.push({ line: i + 1, why: error.message });
    }
    if (images.length > MAX_IMAGES) {
      throw new InputError("too-many", `Cannot make more than ${MAX_IMAGES} images: cut the list`);
    }
  }
  return { images, broken, repeated };
}

function completed(line: Line, { defaults }: WishOptions): Line {
  return { ...line, settings: { ...defaults, ...line.settings } };
}

async function imagesOf(line: Line, { seed: first, digest }: WishOptions): Promise<Wanted[]> {
  const { id, n, prompt, init, mask, settings } = line;
  const digests = [init, mask].map((path) => path === undefined ? "" : digest(path));
  const files = await Promise.all(digests);
  const sorted = Object.entries(settings).filter(([, value]) => value !== undefined).sort();
  const width = `${n}`.length;
  return Array.from({ length: n }, (_, i): Wanted => {
    const seed = `${BigInt.asUintN(64, (line.seed ?? first) + BigInt(i))}`;
    const key = createHash("sha256").update(JSON.stringify([prompt, seed, sorted, files]))
      .digest("hex").slice(0, 12);
    const own = id && (n > 1 ? `${id}-${`${i + 1}`.padStart(width, "0")}` : id);
    const name = own ?? [slugOf(prompt), key].filter(Boolean).join("-");
    return { id: name, key, line: line.number, prompt, seed, settings, init, mask };
  });
}

/** The beginning of a prompt, as part of a file's name. */
function slugOf(prompt: string): string {
  return prompt.slice(0, 4 * SLUG).normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-").slice(0, SLUG).replace(/^-|-$/g, "");
}

/** The images of one of several shards, which share the work: every n-th. */
export function shardOf<T>(images: readonly T[], { index, count }: Shard): T[] {
  return images.filter((_, i) => i % count === index - 1);
}

/** A part of the work, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}
