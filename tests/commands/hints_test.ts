import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { adviseOn, HINTS } from "../../commands/hints.ts";
import { FileError, InputError } from "../../engine/mod.ts";

/** The code of the library, without comments. */
async function sources(folder: string): Promise<string> {
  let all = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) all += await sources(path);
    else if (name.endsWith(".ts")) all += await Deno.readTextFile(path);
  }
  return all.split("\n").filter((line) => !/^\s*(\/\*\*|\*|\/\/)/.test(line)).join("\n");
}

Deno.test("every hint of the library has advice on the command line, and no other has", async () => {
  const top = fromFileUrl(new URL("../..", import.meta.url));
  const library = (await Promise.all(
    ["engine", "kernels", "model", "serve"].map((room) => sources(join(top, room))),
  )).join("\n");
  const codes = [...library.matchAll(/\bhint(?::| =) ([^};]*)/g)]
    .flatMap(([, value = ""]) => [...value.matchAll(/"([a-z0-9-]+)"/g)].map(([, code]) => code!));
  assert(codes.length > 5, `${codes}`);
  const unknown = codes.filter((code) => !Object.hasOwn(HINTS, code));
  assertEquals(unknown, [], "commands/hints.ts has no advice for these");
  const unused = Object.keys(HINTS).filter((code) => !library.includes(`"${code}"`));
  assertEquals(unused, [], "no error has these hints");
});

Deno.test("adviseOn() appends the flag to the message, in one line", () => {
  const error = new InputError("no-f16", "Cannot store f16:\n it lacks shader-f16", {
    hint: "use-f32",
  });
  assertEquals(adviseOn(error), "Cannot store f16: it lacks shader-f16; use --type f32");
  assertEquals(adviseOn(new FileError("x", "Cannot read it")), "Cannot read it");
  assertEquals(adviseOn(new FileError("x", "Cannot", { hint: "toString" })), "Cannot");
  assertEquals(adviseOn("text"), "text");
});
