/**
 * `deno task build`: writes the page that a server hands out at / to dist/page, with the engine for its switch "run in
 * this tab".
 *
 * @module
 */

import { fromFileUrl, join } from "../deps/@std/path.ts";
import { BitwiseError } from "../engine/mod.ts";
import { makeFolder } from "../model/checkpoint/files.ts";
import { bundle, bundleEngine } from "./bundle.ts";

const PAGE = new URL("../serve/page/", import.meta.url);
/** In the order in which rules win. */
const STYLES = ["base.css", "controls.css", "pictures.css"];

/** Builds the page alone into a folder, which is made; files of other names in it stay. */
export async function buildPage(folder: string): Promise<void> {
  await makeFolder(folder);
  await bundle(new URL("main.tsx", PAGE), join(folder, "page.js"));
  const styles = await Promise.all(
    STYLES.map((name) => Deno.readTextFile(new URL(`styles/${name}`, PAGE))),
  );
  await Deno.writeTextFile(join(folder, "page.css"), styles.join("\n"));
  for (const name of ["index.html", "icon.svg"]) {
    await Deno.copyFile(new URL(name, PAGE), join(folder, name));
  }
}

if (import.meta.main) {
  const folder = fromFileUrl(new URL("../dist/page", import.meta.url));
  try {
    await buildPage(folder);
    await bundleEngine(folder);
    console.log(folder);
  } catch (error) {
    if (!(error instanceof BitwiseError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
