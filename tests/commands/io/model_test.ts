import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../../cli.ts";
import { fakeIo, inFolder, MODEL } from "../process.ts";
import { copyCode, denoDir, ModelServer } from "../../model/checkpoint/model_server.ts";

const EXAMPLES = new URL("../../../assets/examples/", import.meta.url);

/** Runs a command in this process, and returns how often it read the model's config. */
async function readsOfConfig(args: readonly string[]): Promise<number> {
  const { open } = Deno;
  let reads = 0;
  Deno.open = (path, options) => {
    if (`${path}`.endsWith("config.json")) reads++;
    return open(path, options);
  };
  try {
    const io = fakeIo();
    assertEquals(await main([...args, "-m", MODEL], io), 0, io.errors());
  } finally {
    Deno.open = open;
  }
  return reads;
}

Deno.test("every command that takes a model reads its config once", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.copyFile(new URL("cat.png", EXAMPLES), at("cat.png"));
    await Deno.copyFile(new URL("dog.png", EXAMPLES), at("dog.png"));
    const bits = at("cat.safetensors");
    const commands = [
      ["encode", at("cat.png"), "-o", bits],
      ["decode", bits, "-o", at("decoded.png")],
      ["inspect", bits, "--sheet", at("sheet.png")],
      ["reconstruct", at("cat.png"), "-o", at("again.png")],
      ["interpolate", at("cat.png"), at("dog.png"), "--steps", "2", "-o", at("between.png")],
      ["analyze", at("cat.png"), "--trials", "1", "--flips", "0.5"],
      ["generate", "red apple", "-o", at("apple.png")],
      ["generate", "cat face", "-i", at("cat.png"), "--max-vram", "1G", "-o", at("edit.png")],
      ["variations", at("cat.png"), "cat face", "-b", "1", "-o", at("variation.png")],
      ["demo", "-o", at("demo.png")],
      ["plan", "-b", "3"],
      ["doctor"],
    ];
    for (const args of commands) {
      assertEquals([args[0], await readsOfConfig(args)], [args[0], 1]);
    }
  }));

Deno.test("a command shows the download of the default model, unless -q forbids it", () =>
  inFolder(async (folder) => {
    await copyCode(folder);
    await using server = new ModelServer();
    const DENO_DIR = await denoDir();
    const plan = async (cache: string, ...flags: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "cli.ts", "plan", ...flags],
        cwd: folder,
        env: {
          BITWISE_MODELS_URL: server.base,
          XDG_CACHE_HOME: join(folder, cache),
          DENO_DIR,
          NO_COLOR: "1",
        },
      }).output();
      const text = new TextDecoder();
      assertEquals(code, 0, text.decode(stderr));
      assertStringIncludes(text.decode(stdout), "emoji-nano as f32");
      return text.decode(stderr).trim().split("\n");
    };
    const lines = await plan("one");
    assertMatch(lines.at(-1)!, /^Downloading emoji-nano: (\d+ MB) of \1$/);
    assert(lines.length > 3 && lines.length <= 11, lines.join("\n"));
    assertEquals(await plan("one"), [""], "it is in the cache");
    assertEquals(await plan("two", "-q"), [""]);
  }));
