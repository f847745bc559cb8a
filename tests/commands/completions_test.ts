import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { flagsOf } from "../../commands/flags/flags.ts";
import { COMMANDS } from "../../commands/registry.ts";
import { fakeIo, inFolder } from "./process.ts";

async function scriptFor(shell: string): Promise<string> {
  const io = fakeIo();
  assertEquals(await main(["completions", shell], io), 0, io.errors());
  return io.text();
}

Deno.test("completions: every command and flag is in each script", async () => {
  const scripts = { bash: await scriptFor("bash"), zsh: await scriptFor("zsh") };
  const fish = await scriptFor("fish");
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    for (const flag of Object.keys(flagsOf((await load()).spec))) {
      for (const script of Object.values(scripts)) {
        const own = script.slice(script.indexOf(`    ${name})`)).split("\n    ", 400);
        assert(own.join("\n").includes(`--${flag}`), `${name} --${flag}`);
      }
      assertStringIncludes(fish, `__fish_seen_subcommand_from ${name}" -l ${flag} `);
    }
  }
});

Deno.test("completions: bash parses the script, and completes from it", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const file = join(folder, "bitwise.bash");
    await Deno.writeTextFile(file, await scriptFor("bash"));
    const check = await new Deno.Command("bash", { args: ["-n", file] }).output();
    assertEquals(new TextDecoder().decode(check.stderr), "");
    const complete = async (...words: string[]) => {
      const script = `source ${file}; COMP_WORDS=(bitwise ${
        words.map((w) => `'${w}'`).join(" ")
      }); ` +
        `COMP_CWORD=${words.length}; _bitwise; echo "\${COMPREPLY[*]}"`;
      const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    assertEquals(await complete("gen"), "generate");
    assertEquals(await complete("comp"), "completions");
    assertEquals(await complete("completions", "z"), "zsh");
    assertEquals(await complete("generate", "--cfg-s"), "--cfg-scale");
    assertEquals(await complete("generate", "--gpu", "d"), "dawn");
    assertEquals(await complete("generate", "-o", `${folder}/bit`), file);
  }));

Deno.test("completions: refuses an unknown shell", async () => {
  for (const args of [[], ["tcsh"], ["bash", "zsh"], ["toString"]]) {
    const io = fakeIo();
    assertEquals(await main(["completions", ...args], io), 2);
    assertEquals(
      io.errors(),
      "error: Cannot print completions: name one shell, bash, zsh or fish\n",
    );
  }
});
