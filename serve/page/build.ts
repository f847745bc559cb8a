/**
 * Builds the page into dist/page/, which a server hands out.
 *
 * @module
 */

import { fromFileUrl, join } from "../../deps/@std/path.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const STYLES = ["base.css", "controls.css", "pictures.css"];

/** Builds the page into a folder, which is made; files of other names in it stay. */
export async function buildPage(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await bundle(join(HERE, "main.tsx"), join(folder, "page.js"));
  const styles = await Promise.all(
    STYLES.map((name) => Deno.readTextFile(join(HERE, "styles", name))),
  );
  await Deno.writeTextFile(join(folder, "page.css"), styles.join("\n"));
  for (const name of ["index.html", "icon.svg"]) {
    await Deno.copyFile(join(HERE, name), join(folder, name));
  }
}

/** Bundles a module for browsers. */
async function bundle(entry: string, output: string): Promise<void> {
  const args = ["bundle", "--platform=browser", "--minify", "-o", output, entry];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: HERE }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}:\n${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) await buildPage(fromFileUrl(new URL("../../dist/page", import.meta.url)));
