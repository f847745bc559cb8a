import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { adviseOn, HINTS } from "../../commands/hints.ts";
import { FileError, InputError } from "../../engine/mod.ts";

/** Every `hint: …` of the library: its codes are the quoted words up to the end of the property. */
async function hintCodes(folder: string): Promise<Set<string>> {
  const codes = new Set<string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) { for (const code of await hintCodes(path)) codes.add(code); }
    if (!name.endsWith(".ts")) continue;
    for (const line of (await Deno.readTextFile(path)).split("\n")) {
      if (/^\s*(\/\*\*|\*|\/\/)/.test(line)) continue;
      const [, value = ""] = /\bhint: ([^}]*)/.exec(line) ?? [];
      for (const [, code] of value.matchAll(/"([a-z0-9-]+)"/g)) codes.add(code!);
    }
  }
  return codes;
}

Deno.test("every hint of the library has advice on the command line", async () => {
  const top = fromFileUrl(new URL("../..", import.meta.url));
  for (const room of ["engine", "kernels", "model"]) {
    for (const code of await hintCodes(join(top, room))) {
      assert(Object.hasOwn(HINTS, code), `commands/hints.ts has no advice for "${code}" (${room})`);
    }
  }
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
