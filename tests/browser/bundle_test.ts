import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { bundleEngine } from "../../browser/bundle.ts";
import map from "../../browser/import_map.json" with { type: "json" };

const HERE = new URL("../../browser/", import.meta.url);

Deno.test("The bundles for browsers use neither Deno nor Node", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await bundleEngine(folder);
    for (const name of ["engine.js", "engine_worker.js"]) {
      const text = await Deno.readTextFile(join(folder, name));
      assert(text.includes("Cannot"), name);
      assertEquals(text.match(/.{0,40}(\bDeno\.|["'`]node:|\brequire\().{0,40}/g), null, name);
    }
    const worker = await Deno.readTextFile(join(folder, "engine_worker.js"));
    assert(worker.includes("@compute"), "the shaders are in it");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("What stands in for a file in browsers exports nothing that it does not", async () => {
  for (const [file, other] of Object.entries(map.imports)) {
    const [real, stand] = await Promise.all([
      import(new URL(file, HERE).href),
      import(new URL(other, HERE).href),
    ]);
    const unknown = Object.keys(stand).filter((name) => typeof real[name] !== typeof stand[name]);
    assertEquals(unknown, [], other);
  }
});
