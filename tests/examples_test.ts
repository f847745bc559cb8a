/**
 * Runs every file of examples/ as a reader would.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { decodePng } from "./decode_png.ts";

const EXAMPLES = fromFileUrl(new URL("../examples", import.meta.url));

/** What each example writes. */
const FILES: Record<string, string[]> = {
  "custom_kernel.ts": ["blue-apple.png"],
  "edit.ts": ["green.png", "half.png"],
  "generate.ts": ["a-purple-car.png", "a-red-apple.png"],
  "scenes.ts": ["scenes.png"],
  "stream.ts": ["live.png"],
};

/** A newcomer's environment, in which the default model is used. */
function newcomersEnv(): Record<string, string> {
  const { BITWISE_MODEL: _, ...env } = Deno.env.toObject();
  return env;
}

/** Runs a program as its first line says, in an empty folder, and returns the images that it wrote there. */
async function imagesOf(program: string) {
  const cwd = await Deno.makeTempDir();
  const [line = ""] = (await Deno.readTextFile(join(EXAMPLES, program))).split("\n");
  const [, flags = "none"] = /`deno run ((?:-[RWE] )+)examples\//.exec(line) ?? [];
  const args = ["run", "--no-prompt", ...flags.trim().split(" "), join(EXAMPLES, program)];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    clearEnv: true,
    env: newcomersEnv(),
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const names = Array.from(Deno.readDirSync(cwd), ({ name }) => name).sort();
  const images = names.map((name) => decodePng(Deno.readFileSync(join(cwd, name))));
  await Deno.remove(cwd, { recursive: true });
  return { names, images };
}

/** Mean of a channel. */
const mean = ({ rgba }: { rgba: Uint8Array }, channel: number) =>
  rgba.filter((_, i) => i % 4 === channel).reduce((sum, value) => sum + value, 0) * 4 / rgba.length;

for (const [program, files] of Object.entries(FILES)) {
  Deno.test(`examples/${program} writes ${files.join(" and ")}`, async () => {
    const { names, images } = await imagesOf(program);
    assertEquals(names, files);
    for (const image of images) {
      const size = program === "scenes.ts" ? [1078, 810] : [128, 128];
      assertEquals([image.width, image.height], size);
      assert(new Set(image.rgba).size > 50, "an image has many values");
    }
    if (program === "custom_kernel.ts") assert(mean(images[0]!, 2) > mean(images[0]!, 0));
    if (images.length === 2) assertNotEquals(images[0]!.rgba, images[1]!.rgba);
  });
}

Deno.test("examples/serve.ts answers with a PNG, and with 400 where the library refuses", async () => {
  const before = Deno.env.get("BITWISE_MODEL") ?? "";
  Deno.env.set("BITWISE_MODEL", "");
  const { handler } = await import("../examples/serve.ts")
    .finally(() => Deno.env.set("BITWISE_MODEL", before));
  const get = (query: string) => handler(new Request(`http://localhost/${query}`));
  const image = await get("?prompt=a+red+apple&seed=7");
  assertEquals(image.headers.get("content-type"), "image/png");
  assertEquals(image.headers.get("x-seed"), "7");
  assertEquals(decodePng(await image.bytes()).width, 128);
  const refused = await get("?prompt=+");
  assertEquals(refused.status, 400);
  assert((await refused.text()).startsWith("Cannot"));
  assertEquals((await get("?seed=x")).status, 400);
});

Deno.test("examples/notebook.ipynb ends in a value that Jupyter shows as a PNG", async () => {
  const { cells } = JSON.parse(await Deno.readTextFile(join(EXAMPLES, "notebook.ipynb")));
  const code = (cells as { cell_type: string; source: string[] }[])
    .filter(({ cell_type }) => cell_type === "code")
    .map(({ source }) => source.join(""));
  // a notebook shows the value of a cell's last expression
  const lines = code.join("\n").trimEnd().split("\n");
  const last = lines.pop()!.replace(/;$/, "");
  const show = `${lines.join("\n")}
console.log(JSON.stringify((${last} as never)[Symbol.for("Jupyter.display")]()));
model.dispose();`;
  const args = ["eval", "--ext=ts", show];
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: EXAMPLES,
    clearEnv: true,
    env: newcomersEnv(),
  });
  const { code: status, stdout, stderr } = await command.output();
  assertEquals(status, 0, new TextDecoder().decode(stderr));
  const bundle = JSON.parse(new TextDecoder().decode(stdout));
  const png = Uint8Array.from(atob(bundle["image/png"]), (c) => c.charCodeAt(0));
  assertEquals(decodePng(png).width, 128);
});

Deno.test("every file of examples/ is tested here", () => {
  const names = [...Deno.readDirSync(EXAMPLES)].filter(({ isFile }) => isFile).map(({ name }) =>
    name
  );
  assertEquals(names.sort(), [...Object.keys(FILES), "notebook.ipynb", "serve.ts"].sort());
});
