// batch and worker together, each with just the permissions of its task, and with none of them less.
import "../backend.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { CLI, ended, filesIn, inFolder, MODEL, permissionsOf } from "./process.ts";
import { RedisServer, SKIP_REDIS } from "../serve/fleet/redis_server.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const { ignore, why } = SKIP_REDIS;

function spawn(cwd: string, flags: readonly string[], args: readonly string[]): Deno.ChildProcess {
  const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, CLI, ...args],
    cwd,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", XDG_RUNTIME_DIR: cwd },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The same permissions, for the files of a test and its Redis only. */
function narrowed(flags: readonly string[], cwd: string): string[] {
  const narrow: Record<string, string> = {
    "--allow-read": `--allow-read=${ROOT},${cwd}`,
    "--allow-write": `--allow-write=${cwd}`,
    "--allow-net": "--allow-net=127.0.0.1",
  };
  return flags.map((flag) => narrow[flag] ?? flag);
}

Deno.test({
  name: `batch and worker run with just the permissions of their tasks, and with none less${why}`,
  ignore: ignore || Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await using server = await RedisServer.start();
      await Deno.writeTextFile(join(folder, "prompts.jsonl"), "cat\ndog\n");
      const queue = ["--redis", server.url, "--results", "store"];
      const lines: Record<string, readonly string[]> = {
        worker: ["worker", ...queue, "-m", MODEL],
        batch: ["batch", "prompts.jsonl", "-o", "made", ...queue],
      };
      const flags = (name: string, but?: string) =>
        narrowed(permissionsOf(name).filter((flag) => flag !== but), folder);
      const worker = spawn(folder, flags("worker"), lines.worker!);
      const batch = await ended(spawn(folder, flags("batch"), lines.batch!));
      assertEquals(batch.code, 0, batch.err);
      assertEquals(filesIn(join(folder, "made")).length, 3);
      worker.kill("SIGTERM");
      const { code, err } = await ended(worker);
      assertEquals(code, 0, err);
      await Deno.remove(join(folder, "made"), { recursive: true });
      await Deno.remove(join(folder, "store"), { recursive: true });
      for (const name of ["worker", "batch"]) {
        for (const flag of permissionsOf(name)) {
          if (flag.startsWith("--allow-env")) continue;
          const less = await ended(spawn(folder, flags(name, flag), lines[name]!));
          assertEquals(less.code, 1, `${name} without ${flag}: ${less.err}`);
          assertStringIncludes(less.err, flag === "--ignore-env" ? "--allow-env" : flag);
        }
      }
    }),
});
