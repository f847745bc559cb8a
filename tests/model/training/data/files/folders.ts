/** Folders of images for tests. */

import { join } from "@std/path";
import { encodePng } from "../../../../../model/image/png.ts";

/** A PNG of one colour. */
export function plainPng(width: number, height: number, [r, g, b]: readonly number[]) {
  const rgba = new Uint8Array(4 * width * height);
  for (let i = 0; i < rgba.length; i += 4) rgba.set([r!, g!, b!, 255], i);
  return encodePng(rgba, width, height);
}

/** Writes files below a new folder, which is removed in the end. Texts are written as UTF-8. */
export async function folderOf(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  for (const [name, content] of Object.entries(files)) {
    const full = join(path, name);
    await Deno.mkdir(join(full, ".."), { recursive: true });
    if (typeof content === "string") await Deno.writeTextFile(full, content);
    else await Deno.writeFile(full, content);
  }
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
