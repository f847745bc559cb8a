// The tasks of deno.json are the one place that says what each command may do; here each runs with just that.
import "../backend.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { COMMANDS } from "../../commands/registry.ts";
import { encodePng } from "../../model/image/png.ts";
import { HUB_VARIABLES } from "../../model/release/hub/hub_environment.ts";
import { writeTraining } from "./tiny_training.ts";
import { MockHub } from "../model/release/hub/mock_hub.ts";
import { tinyRepositories } from "../model/release/tiny_release.ts";
import { CLI, ended, filesIn, inFolder, MODEL, permissionsOf, withHosts } from "./process.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** A line of each command that needs all of its permissions, in a folder with an image and its bits. */
const LINES: Readonly<Record<string, readonly string[]>> = {
  generate: ["red apple", "-o", "made.png", "--trace", "made.safetensors"],
  demo: ["-o", "made.png"],
  encode: ["in.png", "-o", "made.safetensors"],
  decode: ["in.safetensors", "-o", "made.png"],
  reconstruct: ["in.png", "-o", "made.png"],
  variations: ["in.png", "red apple", "-b", "1", "-o", "made.png"],
  interpolate: ["in.png", "in.safetensors", "--steps", "2", "-o", "made.png"],
  analyze: ["in.png", "--trials", "1"],
  inspect: ["in.png"],
  convert: ["in.safetensors", "-o", "made.safetensors"],
  train: ["tokenizer", "c.json", "-o", "made", "--steps", "1"],
  finetune: [MODEL, "tiles", "-o", "made", "--steps", "1", "--batch", "1", "--lora", "2"],
  plan: [],
  doctor: [],
  completions: ["bash"],
};

/** Makes 125m a small model. */
const TINY = ["--preload", join(ROOT, "tests", "commands", "tiny_preset.ts")];

/** Runs a command line with some flags of Deno's, which asks for nothing. */
function runs(cwd: string, flags: readonly string[], args: readonly string[], change = {}) {
  const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
  return ended(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...flags, CLI, ...args],
      cwd,
      clearEnv: true,
      env: { ...env, NO_COLOR: "1", XDG_RUNTIME_DIR: cwd, ...change },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** The same permissions, for the files of a test only. */
function narrowed(flags: readonly string[], cwd: string): string[] {
  const paths: Record<string, string> = {
    "--allow-read": `--allow-read=${MODEL},${cwd}`,
    "--allow-write": `--allow-write=${cwd}`,
  };
  return flags.map((flag) => paths[flag] ?? flag);
}

const inputs = async (folder: string) => {
  await writeTraining(folder);
  await Deno.writeFile(join(folder, "in.png"), encodePng(Uint8Array.of(9, 9, 9, 255), 1, 1));
  const made = ["encode", "in.png", "-m", MODEL, "-o", "in.safetensors"];
  const { code, err } = await runs(folder, ["-R", "-W"], made);
  assertEquals(code, 0, err);
};

Deno.test("each command runs with just the permissions of its task, and with none of them less", () =>
  inFolder(async (folder) => {
    await inputs(folder);
    const known = filesIn(folder);
    for (const [name, args] of Object.entries(LINES)) {
      const flags = permissionsOf(name);
      const { code, said } = await runs(folder, narrowed(flags, folder), [name, ...args]);
      const missed = said.filter((line) => /^(error|warning)|permission|allow-/i.test(line));
      assertEquals([code, missed], [0, []], name);
      for (const file of filesIn(folder)) {
        if (!known.includes(file)) await Deno.remove(join(folder, file), { recursive: true });
      }
      for (const flag of flags) {
        // no variable is needed: commands go on without what they would have said
        if (flag.startsWith("--allow-env")) continue;
        const rest = narrowed(flags.filter((other) => other !== flag), folder);
        const less = await runs(folder, rest, [name, ...args]);
        assertEquals(less.code, 1, `${name} without ${flag}`);
        const line = less.said.find((text) => text.startsWith("error: ")) ?? less.out;
        assertStringIncludes(line, flag, `${name} without ${flag}`);
        assertEquals(filesIn(folder), known);
      }
    }
    assertEquals(
      [...Object.keys(LINES), "pull", "batch", "serve", "worker"].sort(),
      Object.keys(COMMANDS).sort(),
    );
  }));

Deno.test("pull runs with just the permissions of its task, and with none of them less", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const flags = withHosts(permissionsOf("pull"), "127.0.0.1");
    const args = ["pull", "125m", "-o", "tiny"];
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hf") };
    const pull = (flags: readonly string[]) => runs(folder, [...TINY, ...flags], args, env);
    const { code, err } = await pull(flags);
    assertEquals(code, 0, err);
    assert(filesIn(join(folder, "tiny")).includes("config.json"));
    await Deno.remove(join(folder, "tiny"), { recursive: true });
    await Deno.remove(join(folder, "hf"), { recursive: true });
    for (const flag of flags.filter((flag) => !flag.startsWith("--allow-env"))) {
      const rest = flags.filter((other) => other !== flag);
      const less = await pull(rest);
      assertStringIncludes(less.err, flag.replace(/=.*/, ""), `without ${flag}`);
      assertEquals(less.code, 1, `without ${flag}`);
    }
  }));

Deno.test("docs/command-line.md lists the permissions of each task", async () => {
  const text = await Deno.readTextFile(join(ROOT, "docs", "command-line.md"));
  const rows = text.matchAll(/^\| (`[a-z]+`(?:, `[a-z]+`)*) +\| (.{4}) \| (.{5}) \| (.*?) *\|$/gm);
  const listed = [...rows].flatMap(([, names = "", ...cells]) =>
    names.split(", ").map((name) => [name.slice(1, -1), cells.map((cell) => cell.trim())])
  );
  const expected = Object.keys(COMMANDS).map((name) => {
    const flags = permissionsOf(name);
    const cells = ["--allow-read", "--allow-write", "--allow-net"].map((flag) => {
      const [found, only] = flags.map((flag) => flag.split("=")).find(([f]) => f === flag) ?? [];
      return only ? `\`${only}\`` : found ? "yes" : "";
    });
    return [name, cells];
  });
  assertEquals(Object.fromEntries(listed), Object.fromEntries(expected));
});

Deno.test("tasks name every variable that the code reads", async () => {
  const read = new Set<string>(Object.keys(HUB_VARIABLES));
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) await walk(path);
      else if (name.endsWith(".ts")) {
        const text = await Deno.readTextFile(path);
        const calls = text.matchAll(/\b(?:readEnv|env|setDefaultEnv)\(\s*"([A-Z][A-Z0-9_]+)"/g);
        for (const [, variable = ""] of calls) read.add(variable);
      }
    }
  };
  for (const room of ["engine", "kernels", "model", "serve", "commands"]) {
    await walk(join(ROOT, room));
  }
  assert(read.has("HOME") && read.has("BITWISE_DEBUG"), `${[...read]}`);
  const permitted = Object.keys(COMMANDS).flatMap((name) =>
    permissionsOf(name).filter((flag) => flag.startsWith("--allow-env="))
      .flatMap((flag) => flag.slice("--allow-env=".length).split(","))
  );
  const allows = (variable: string) =>
    permitted.some((name) =>
      name.endsWith("*") ? variable.startsWith(name.slice(0, -1)) : variable === name
    );
  // Deno's own cache, in which Dawn is looked for once it may be called
  read.delete("DENO_DIR");
  assertEquals([...read].filter((variable) => !allows(variable)), []);
});
