/** The page's files. */

import { join } from "../../deps/@std/path.ts";
import { mediaTypeOf } from "./base/media_type.ts";

/** What the page may load: itself, images that it made, and its Workers. */
export const PAGE_POLICY: string = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "img-src 'self' data: blob:",
  "connect-src 'self' data: blob:",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** Said at / where no page was built. */
const NO_PAGE = "The page is not built: run deno task build\n";

/** A part of a path; it begins with no dot, so that it leads to nothing above and nothing hidden. */
const PART = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

/** The most characters of a path; at longer names of files, systems fail instead of finding none. */
const MOST_PATH = 255;

/** Files of a model below /model/, and nothing else that its folder may hold. */
const MODEL_FILE = /^\/model(\/.*\.(?:json|safetensors))$/;

/** Answers a request for a file of the model, as {@link answerPage} does. */
export async function answerModel(
  folder: string | undefined,
  path: string,
): Promise<Response | null> {
  const file = MODEL_FILE.exec(path)?.[1];
  return folder === undefined || file === undefined ? null : await answerPage(folder, file);
}

/**
 * Answers a request for a file of the page.
 *
 * @param folder The page's folder.
 * @param path The path of the URL, still escaped: names of the page need no escapes.
 * @returns Null if there is no such file.
 */
export async function answerPage(
  folder: string | undefined,
  path: string,
): Promise<Response | null> {
  if (folder === undefined) return path === "/" ? new Response(NO_PAGE) : null;
  const parts = path === "/" ? ["index.html"] : path.slice(1).split("/");
  if (path.length > MOST_PATH || !parts.every((part) => PART.test(part))) return null;
  try {
    const root = await Deno.realPath(folder);
    const real = await Deno.realPath(join(root, ...parts));
    // a link may lead out of the folder
    if (!real.startsWith(join(root, "/"))) return null;
    const file = await Deno.open(real);
    const { isFile, size, mtime } = await file.stat();
    if (!isFile) {
      file.close();
      return null;
    }
    return new Response(file.readable, {
      headers: {
        "content-type": mediaTypeOf(real),
        "content-length": `${size}`,
        // by which a tab tells whether the model that it keeps is still this one
        ...mtime && { "last-modified": mtime.toUTCString() },
        "content-security-policy": PAGE_POLICY,
        "cache-control": "no-cache",
      },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw error;
  }
}
