import { join } from "@std/path";
import { Queue, Redis, Worker } from "../../deps/bullmq.ts";
import { FileError } from "../../engine/mod.ts";
import { writeFileAtomic } from "../../model/checkpoint/files.ts";

/** Jobs that go through the queue, jobs that are added at once, and workers that take them. */
const [JOBS, AT_ONCE, WORKERS, CONCURRENCY] = [4000, 100, 8, 4];
/** Files that are put, and the bytes of each: those of a PNG of 32 × 32 and of 1024 × 1024 pixels, about. */
const FILES = 200;
const BYTES = [2000, 1_500_000];

/** What a queue of BullMQ in a Redis of this machine carries, and a folder of it. */
export interface Carried {
  /** Jobs added, and jobs taken and finished, in a second, by one process that does nothing else. */
  readonly added: number;
  readonly finished: number;
  /** Microseconds of Redis's own time for all of a job. Redis has one thread, so this is its limit. */
  readonly redisMicroseconds: number;
  /** Commands of a job, those included that scripts call. */
  readonly commands: number;
  /** Files of so many bytes that a folder takes in a second, each written under another name first. */
  readonly folder: readonly { readonly bytes: number; readonly files: number }[];
}

/** Redis on a socket of a temporary folder, without a port. */
async function startRedis(folder: string) {
  const path = join(folder, "socket");
  const args = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", folder];
  let process;
  try {
    process = new Deno.Command("redis-server", { args, stdout: "null", stderr: "null" }).spawn();
  } catch {
    throw new FileError("file-not-found", "Cannot start redis-server: it is not installed");
  }
  const clients: InstanceType<typeof Redis>[] = [];
  const connect = () => {
    const client = new Redis({ path, maxRetriesPerRequest: null });
    client.on("error", () => {}); // until it listens
    clients.push(client);
    return client;
  };
  const stop = async () => {
    for (const client of clients) client.disconnect();
    process.kill();
    await process.status;
  };
  await connect().ping();
  return { client: clients[0]!, connect, stop };
}

/** Seconds of Redis's time, and commands, so far. */
async function spent(client: InstanceType<typeof Redis>) {
  const text = await client.info("all");
  const read = (key: string) => Number(new RegExp(`^${key}:(.*)`, "m").exec(text)?.[1]);
  return {
    seconds: read("used_cpu_user_main_thread") + read("used_cpu_sys_main_thread"),
    commands: read("total_commands_processed"),
  };
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return 1000 * count / (performance.now() - began);
}

async function measureQueue(folder: string) {
  const { client, connect, stop } = await startRedis(folder);
  const queue = new Queue("fleet", { connection: connect() });
  await queue.waitUntilReady();
  const before = await spent(client);
  const added = await rateOf(JOBS, async () => {
    for (let i = 0; i < JOBS; i += AT_ONCE) {
      const job = (_: unknown, n: number) => ({ prompt: "red apple", seed: `${i + n}` });
      const jobs = Array.from({ length: AT_ONCE }, job);
      await Promise.all(jobs.map((job) => queue.add("image", job, { jobId: `job-${job.seed}` })));
    }
  });
  const all = Promise.withResolvers<void>();
  let done = 0;
  const workers: Worker[] = [];
  const finished = await rateOf(JOBS, async () => {
    for (let i = 0; i < WORKERS; i++) {
      const worker = new Worker("fleet", () => Promise.resolve({}), {
        connection: connect(),
        concurrency: CONCURRENCY,
      });
      worker.on("completed", () => ++done === JOBS && all.resolve());
      workers.push(worker);
    }
    await all.promise;
  });
  const after = await spent(client);
  await Promise.all(workers.map((worker) => worker.close()));
  await queue.close();
  await stop();
  return {
    added,
    finished,
    redisMicroseconds: 1e6 * (after.seconds - before.seconds) / JOBS,
    commands: (after.commands - before.commands) / JOBS,
  };
}

/** Puts files as a store in a folder does. */
async function measureFolder(folder: string) {
  const rates = [];
  for (const bytes of BYTES) {
    const content = new Uint8Array(bytes);
    const files = await rateOf(FILES, async () => {
      for (let i = 0; i < FILES; i++) await writeFileAtomic(join(folder, `${i % 20}.png`), content);
    });
    rates.push({ bytes, files });
  }
  return { folder: rates };
}

/** Measures both, in some seconds. @throws {FileError} There is no redis-server. */
export async function measureCarried(): Promise<Carried> {
  const folder = await Deno.makeTempDir();
  try {
    return { ...await measureQueue(folder), ...await measureFolder(folder) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
