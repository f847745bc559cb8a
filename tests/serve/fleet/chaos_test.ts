/**
 * Workers as processes, killed in the midst of their work. 200 images of emoji-nano take about 10 s on two cores.
 *
 * @module
 */

import "../../backend.ts";
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Queue, QueueEvents } from "../../../deps/bullmq.ts";
import { encodePng } from "../../../model/image/png.ts";
import { openEngine } from "../../../serve/engine/engine.ts";
import { connect } from "../../../serve/fleet/connect.ts";
import { RemoteMaker } from "../../../serve/fleet/remote_maker.ts";
import type { Job } from "../../../serve/jobs/job.ts";
import { FolderStore } from "../../../serve/stores/folder_store.ts";
import { filesIn, inFolder, MODEL, start } from "../../commands/process.ts";
import { RedisServer, SKIP_REDIS } from "./redis_server.ts";

const { ignore, why } = SKIP_REDIS;

const JOBS = Array.from({ length: 200 }, (_, i): Job => ({
  id: `image-${i}`,
  prompt: ["red apple", "cat face", "blue car"][i % 3]!,
  seed: `${i}`,
  settings: i % 10 === 0 ? { tau: 0.3 } : {},
}));
/** Images after which one of the two workers is killed. */
const KILL_AFTER = 30;

Deno.test({
  name: `Two workers, one killed: 200 jobs are 200 images, none lost and none twice${why}`,
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    inFolder(async (folder) => {
      await using server = await RedisServer.start();
      const path = join(folder, "results");
      const args = ["worker", "--redis", server.url, "--results", path, "-m", MODEL, "--lock", "1"];
      const workers = [1, 2].map(() => start([...args, "-q"], { cwd: folder }));
      const [victim, other] = workers as [Deno.ChildProcess, Deno.ChildProcess];
      const redis = await connect(server.url);
      const front = new RemoteMaker(redis, new FolderStore(path), {
        limit: JOBS.length,
        look: 500,
      });
      const events = new QueueEvents("bitwise", { connection: await connect(server.url) });
      const completed: string[] = [];
      const returned: string[] = [];
      events.on("completed", ({ jobId }) => completed.push(jobId));
      events.on("stalled", ({ jobId }) => returned.push(jobId));
      await events.waitUntilReady();
      let made = 0;
      try {
        const all = JOBS.map(async (job) => {
          const image = await front.make(job);
          if (++made === KILL_AFTER) victim.kill("SIGKILL");
          return image;
        });
        const images = await Promise.all(all);
        while (completed.length < JOBS.length) {
          await new Promise((resolve) => events.once("completed", resolve));
        }
        assertEquals((await victim.status).signal, "SIGKILL");
        assert(returned.length > 0, "the worker was killed while it had no job");
        // the queue says that each was completed once, and the store has each once
        assertEquals(completed.toSorted(), JOBS.map(({ id }) => `job-${id}`).sort());
        const names = JOBS.flatMap(({ id }) => [`${id}.png`, `${id}.safetensors`]);
        assertEquals(
          filesIn(path).filter((name) => !name.endsWith(".tmp")),
          [
            ...names,
            "worker.json",
          ].sort(),
        );
        const queue = new Queue("bitwise", { connection: redis });
        assertEquals(
          await queue.getJobCounts("completed", "failed", "active", "waiting", "delayed"),
          {
            completed: 200,
            failed: 0,
            active: 0,
            waiting: 0,
            delayed: 0,
          },
        );
        // some of those that returned among them, images are those of a run here
        const sample = [
          ...returned.slice(0, 3).map((id) => Number(id.split("-").at(-1))),
          0,
          77,
          199,
        ];
        const engine = openEngine({ model: MODEL });
        for (const i of sample) {
          const { rgba, width, height, parameters, bits } = await engine.make(JOBS[i]!);
          const { id } = JOBS[i]!;
          const png = encodePng(rgba, width, height, { parameters });
          assertEquals(await Deno.readFile(join(path, `${id}.png`)), png, id);
          assertEquals(await Deno.readFile(join(path, `${id}.safetensors`)), bits, id);
          assertEquals(images[i]!.rgba, rgba, id);
        }
        await engine.close();
      } finally {
        await events.close();
        await front.close("at once");
        for (const worker of workers) {
          try {
            worker.kill("SIGTERM");
          } catch {
            // it has ended
          }
          await worker.stderr.cancel();
          await worker.stdout.cancel();
        }
        assertEquals((await other.status).code, 0);
      }
    }),
});
