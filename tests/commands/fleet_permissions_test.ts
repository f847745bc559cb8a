// batch and worker together, each with just the permissions of its task, and with none of them less.
import "../backend.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { ended, filesIn, inFolder, MODEL, narrowed, permissionsOf, spawn } from "./process.ts";
import { RedisServer, SKIP_REDIS } from "../serve/fleet/redis_server.ts";

const { ignore, why } = SKIP_REDIS;

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
        narrowed(name, folder).filter((flag) => flag.replace(/=.*/, "") !== but);
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
