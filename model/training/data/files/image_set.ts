/** Sets of image files with captions. */

import { FileError, quote } from "../../../../engine/mod.ts";
import type { Draws } from "../base/draws.ts";

/** An image file and its captions. */
export interface Example {
  /** The image's path. */
  readonly path: string;
  /** Draws one of the captions. */
  caption(draws: Draws): string;
}

/** Image files with captions. */
export interface ImageSet {
  /** How many there are. */
  readonly count: number;
  /** What people call the set: the path of its folder. */
  readonly name: string;
  /** Reads what is known about an image. */
  example(index: number): Example | Promise<Example>;
  /** The captions that {@link Example.caption} draws from, where they are a list. */
  captions?(index: number): readonly string[];
  /** An image's height over its width, from what the set says or from its file. */
  ratio(index: number): number | Promise<number>;
  /** A text that names the image, the same wherever the set lies. */
  key(index: number): string;
  /** Closes what is open. */
  dispose(): void;
}

/** What opening a set of images needs to know. */
export interface SetOptions {
  /** Whether images without captions are of use: a visual tokenizer needs none. */
  readonly uncaptioned: boolean;
  /** Receives what is left out, one line each. */
  readonly onWarning: (line: string) => void;
}

/** All captions of images; null if there are more than `most`. */
export function captionsOf<T>(
  images: Iterable<T>,
  captions: (image: T) => readonly string[],
  most: number,
): ReadonlySet<string> | null {
  const all = new Set<string>();
  for (const image of images) {
    for (const caption of captions(image)) all.add(caption);
    if (all.size > most) return null;
  }
  return all;
}

/** The error for a set without images. */
export function emptySet(name: string, why: string): FileError {
  return new FileError("empty-set", `Cannot train on ${quote(name)}: ${why}`);
}

/** Names the first few of a list: `"a.txt", "b.txt" and 3 more`. */
export function some(names: readonly string[]): string {
  const first = names.slice(0, 3).map(quote).join(", ");
  return names.length > 3 ? `${first} and ${names.length - 3} more` : first;
}

/** The error for a folder that cannot be listed. */
export function folderError(path: string, cause: unknown): FileError {
  const refuse = (code: string, why: string, hint?: string) =>
    new FileError(code, `Cannot read the folder ${quote(path)}: ${why}`, { cause, hint });
  if (cause instanceof Deno.errors.NotFound) {
    return refuse("file-not-found", "it does not exist; check the path");
  }
  if (cause instanceof Deno.errors.NotADirectory) return refuse("not-a-folder", "it is a file");
  if (cause instanceof Deno.errors.NotCapable) {
    return refuse("file-unreadable", "Deno was not allowed to", "allow-read");
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return refuse("file-unreadable", "permission denied; check its owner");
  }
  const message = cause instanceof Error ? cause.message : `${cause}`;
  return refuse("file-unreadable", message.split("\n")[0]!.replace(/ \(os error .*$/, ""));
}
