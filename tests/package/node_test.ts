/**
 * A bundle of the library on Node, with deps/deno_on_node.ts in place of Deno. Runs with the Node of `NODE`, or `node`,
 * if that is 24 or newer. The GPU is the dry one: files, tokenizer, plans and PNGs are real, pixels are not.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const PACKAGE = fromFileUrl(new URL("../..", import.meta.url));
const MODEL = join(PACKAGE, "assets", "models", "emoji-nano");
const NODE = Deno.env.get("NODE") || "node";

/** The constants that `globals` of npm:webgpu holds. */
const constants = Object.fromEntries(
  ["GPUBufferUsage", "GPUMapMode", "GPUShaderStage", "GPUTextureUsage"].map((name) => {
    const object = (globalThis as unknown as Record<string, Record<string, number>>)[name]!;
    return [
      name,
      Object.fromEntries(Object.getOwnPropertyNames(object).map((k) => [k, object[k]])),
    ];
  }),
);

const PROGRAM = `
import "${PACKAGE}/deps/deno_on_node.ts";
import process from "node:process";
import { InfinityModel } from "${PACKAGE}/mod.ts";
import { dryGpu } from "${PACKAGE}/engine/mod.ts";

Object.assign(globalThis, ${JSON.stringify(constants)});
const model = await InfinityModel.load(process.argv[2], { gpu: dryGpu(true) });
const { images: [image] } = await model.generate("red apple", { seed: 7 });
const failure = await InfinityModel.load("/no/such").catch((error) => error.code);
console.log(JSON.stringify([image.toPng()[1], image.width, image.toJSON().seed, failure]));
process.exit(0);
`;

/** Major version of Node; 0 if there is none. */
async function nodeVersion(): Promise<number> {
  const output = await new Deno.Command(NODE, { args: ["--version"] }).output().catch(() => null);
  return Number(/^v(\d+)/.exec(new TextDecoder().decode(output?.stdout))?.[1] ?? 0);
}

const version = await nodeVersion();

Deno.test({
  name: `A bundle loads and plans on Node${
    version < 24 ? ` (ignored: found ${version}, not 24)` : ""
  }`,
  ignore: version < 24,
  async fn() {
    const cwd = await Deno.makeTempDir();
    await Deno.writeTextFile(join(cwd, "main.ts"), PROGRAM);
    const args = ["bundle", "--quiet", "--no-config", "-o", "bundle.mjs", "main.ts"];
    const bundled = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
    assertEquals(bundled.code, 0, new TextDecoder().decode(bundled.stderr));
    const { stdout, stderr } = await new Deno.Command(NODE, { args: ["bundle.mjs", MODEL], cwd })
      .output();
    const [letter, width, seed, failure] = JSON.parse(
      new TextDecoder().decode(stdout) || `["${new TextDecoder().decode(stderr)}"]`,
    );
    assertEquals([letter, width, seed, failure], ["P".charCodeAt(0), 32, 7, "model-not-found"]);
    await Deno.remove(cwd, { recursive: true });
  },
});
