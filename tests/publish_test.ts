// The package as JSR would get it.
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { formatBytes } from "../engine/mod.ts";

/** JSR's limit for all files of a package together. */
const LIMIT = 20e6;

const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
const { code, stderr } = await new Deno.Command(Deno.execPath(), {
  args,
  cwd: fromFileUrl(new URL("..", import.meta.url)),
  env: { NO_COLOR: "1" },
}).output();
const said = new TextDecoder().decode(stderr);
const files = [...said.matchAll(/^\s*(file:\S+) \([\d.]+[KMG]?B\)$/gm)].map(([, url]) => url!);

Deno.test("The package stays below the 20 MB that JSR allows", async () => {
  assertEquals(code, 0, said);
  assert(files.some((url) => url.endsWith("/mod.ts")), said);
  const sizes = await Promise.all(files.map(async (url) => (await Deno.stat(new URL(url))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const largest = files.map((url, i) => ({ url, size: sizes[i]! }))
    .sort((a, b) => b.size - a.size).slice(0, 5)
    .map(({ url, size }) => `${formatBytes(size)} ${url}`);
  assert(
    total < LIMIT,
    `The package has ${formatBytes(total)}, JSR allows ${formatBytes(LIMIT)}: exclude files in ` +
      `deno.json, "publish". The largest are:\n${largest.join("\n")}`,
  );
});

Deno.test("The package holds no models: it downloads the one in the box", () => {
  assertEquals(files.filter((url) => url.includes("/assets/models/")), []);
});
