// Commands in odd surroundings: closed streams, no home, full and read-only file systems, a terminal without columns.
import { assertEquals } from "@std/assert";
import { DAWN } from "../backend.ts";
import { CLI, inFolder, runFlags, summary } from "./process.ts";

/** Whether a program runs here, such as one that needs rights or is not on every system. */
async function can(command: string, ...args: string[]): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  const run = new Deno.Command(command, { args, stdout: "null", stderr: "null", stdin: "null" });
  return await run.output().then(({ success }) => success, () => false);
}

/** Runs lines of a shell in which `bitwise` is the command line: what they print, without progress. */
async function lines(script: string): Promise<string[]> {
  let said: readonly string[] = [];
  await inFolder(async (cwd) => {
    const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
    const run = [Deno.execPath(), ...runFlags("generate"), CLI].join(" ");
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", `{ bitwise() { ${run} "$@"; }\n${script}\n} 2>&1 | cat`],
      cwd,
      clearEnv: true,
      env: { ...env, NO_COLOR: "1", XDG_RUNTIME_DIR: cwd, DENO_DIR, RUN: run },
      stdin: "null",
    }).output();
    said = summary(0, "", new TextDecoder().decode(stdout)).said;
  });
  return [...said];
}

/** Deno's own cache, which a process without a home would not find. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

const DENO_DIR = await denoDir();
const ignore = Deno.build.os === "windows";

Deno.test("commands run with streams that are closed, and refuse what would read from them", {
  ignore,
}, async () => {
  assertEquals(
    await lines(`
      bitwise generate -q "red apple" -o a.png <&-; echo $?
      bitwise generate -q "red apple" -o b.png >&-; echo $?
      bitwise generate "red apple" -o c.png 2>&-; echo $?
      bitwise generate "red apple" -o d.png <&- >&- 2>&-; echo $?
      cmp a.png b.png && cmp a.png c.png && cmp a.png d.png && echo same
      bitwise generate -q -p - -o e.png <&-; echo $?
      bitwise inspect a.png >&-; echo $?
      ls`),
    [
      ..."a.png|0|0|c.png|0|0|same".split("|"),
      'error: Cannot generate from an empty prompt: describe the image, such as "red apple"',
      ..."2|0|a.png|b.png|c.png|d.png".split("|"),
    ],
  );
});

Deno.test("commands run without a home, and name what needs one", { ignore }, async () => {
  assertEquals(
    await lines(`
      unset HOME XDG_CACHE_HOME HF_HOME HF_HUB_CACHE
      bitwise generate -q "red apple" -o a.png; echo $?
      bitwise pull 2b; echo $?
      HOME= bitwise plan -m 2b >plan.txt; echo $?`),
    ["a.png", "0", "error: Cannot find the cache: set HF_HOME to a folder for it", "2", "0"],
  );
});

// the limit holds for memory that a driver keeps in a file, too
const LIMITED = DAWN ? " (skipped: Mesa 26 ends with a bus error under such a limit)" : "";

Deno.test(`no command leaves a part of a file that may not grow${LIMITED}`, {
  ignore: ignore || DAWN,
}, async () => {
  const [large, what] = ["File too large", "error: Cannot write"];
  assertEquals(
    await lines(`
      bitwise generate -q "red apple" -o in.png
      bitwise encode -q in.png -o in.safetensors
      cp in.png kept
      trap '' XFSZ; ulimit -f 0
      bitwise generate -q "red apple" -o a.png; echo $?
      bitwise encode -q in.png -o a.safetensors; echo $?
      bitwise decode -q in.safetensors -o b.png; echo $?
      bitwise demo -q -o c.png; echo $?
      bitwise generate -q "red apple" --overwrite -o in.png; echo $?
      cmp in.png kept && ls -A`),
    [
      ...["in.png", "in.safetensors"],
      ...[`${what} "a.png": ${large}`, "1", `${what} "a.safetensors": ${large}`, "1"],
      ...[`${what} "b.png": ${large}`, "1", `${what} "c.png": ${large}`, "1"],
      ...[`${what} "in.png": ${large}`, "1", "in.png", "in.safetensors", "kept"],
    ],
  );
});

Deno.test("commands name a disk that is full, or read-only, and leave nothing there", {
  ignore: !await can("unshare", "-rm", "true"),
}, async () => {
  const full = "the disk is full; free some space or choose another folder";
  assertEquals(
    await lines(`
      mkdir small fixed
      cat >inside.sh <<'END'
        mount -t tmpfs -o size=8k none small && mount -t tmpfs -o ro none fixed || exit
        cd small; head -c 7000 /dev/zero >filler
        $RUN generate -q "red apple" -b 3 -o a.png; echo $?
        $RUN demo -q -o b.png; echo $?
        ls -A
        cd ../fixed
        $RUN generate -q "red apple"; echo $?
        $RUN encode -q ../in.png; echo $?
        ls -A
END
      bitwise generate -q "red apple" -o in.png
      unshare -rm sh inside.sh`),
    [
      ...["in.png", `error: Cannot write "a-1.png": ${full}`, "1"],
      ...[`error: Cannot write "b.png": ${full}`, "1", "filler"],
      ...['error: Cannot write "output.png": Read-only file system', "1"],
      ...['error: Cannot write "output.bits.safetensors": Read-only file system', "1"],
    ],
  );
});

Deno.test("progress fits a terminal of any width, also one that has none", {
  ignore: !await can("script", "-qec", "true", "/dev/null"),
}, async () => {
  for (const columns of [0, 2]) {
    const said = await lines(`
      script -qec 'stty cols ${columns} rows 0; $RUN generate "red apple" -o a.png; echo "status $?"' /dev/null | tail -n 1`);
    assertEquals(said.map((line) => line.trim()), ["status 0"]);
  }
});
