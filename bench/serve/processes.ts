import { fromFileUrl } from "@std/path";
import { BitwiseError } from "../../engine/mod.ts";

const CLI = fromFileUrl(new URL("../../cli.ts", import.meta.url));

/** A server that runs in a process of its own. */
export interface Server {
  /** Where it is, without a path. */
  readonly url: string;
  /** Bytes of it in memory (Linux). */
  memory(): Promise<number>;
  /** Seconds of CPU time that it has used (Linux). */
  cpu(): Promise<number>;
  /** Ends it by SIGTERM, and waits. @throws {BitwiseError} It did not end well. */
  stop(): Promise<void>;
}

function spawn(args: readonly string[]): Deno.ChildProcess {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
  return command.spawn();
}

/** Reads a stream to its end, and shows its text so far after each piece. */
async function read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, show: (text: string) => void) {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + piece).slice(-10_000);
    show(text);
  }
  return text;
}

/** Seconds of CPU time of a process, and of its children that have ended (Linux, 100 ticks a second). */
async function cpuTimes(pid: string): Promise<{ own: number; children: number }> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15) as [
    number,
    number,
    number,
    number,
  ];
  return { own: (user + system) / 100, children: (childrenUser + childrenSystem) / 100 };
}

/** Starts `bitwise serve` on a free port, and waits until its model is loaded. */
export async function startServer(args: readonly string[]): Promise<Server> {
  const process = spawn(["serve", "--host", "127.0.0.1", "--port", "0", ...args]);
  const address = Promise.withResolvers<string>();
  const show = (text: string) => {
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
    if (found) address.resolve(found[0]);
  };
  const outputs = Promise.all([read(process.stdout, show), read(process.stderr, show)]);
  const ended = process.status.then(async ({ code }) => {
    const [, errors] = await outputs;
    return { code, errors };
  });
  ended.then(({ errors }) => address.reject(failed("start", errors)));
  const url = await address.promise;
  while (!(await fetch(`${url}/readyz`).then(async (r) => (await r.body?.cancel(), r.ok)))) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    async memory() {
      const status = await Deno.readTextFile(`/proc/${process.pid}/status`);
      return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]);
    },
    cpu: async () => (await cpuTimes(`${process.pid}`)).own,
    async stop() {
      process.kill("SIGTERM");
      const { code, errors } = await ended;
      if (code !== 0) throw failed("end", errors);
    },
  };
}

function failed(what: string, errors: string): BitwiseError {
  return new BitwiseError("server-failed", `The server did not ${what}: ${errors.trim()}`);
}

/** What a run took, in seconds by the clock and of CPU time. */
export interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** Runs `bitwise generate` for one image of each prompt; from its start to its end. No other child may end meanwhile. */
export async function generate(
  args: readonly string[],
  prompts: readonly string[],
): Promise<Cost> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/prompts.txt`, prompts.join("\n"));
    const files = ["--prompt-file", `${folder}/prompts.txt`, "-o", `${folder}/image.png`];
    const before = await cpuTimes("self");
    const began = performance.now();
    const { code, stderr } = await spawn(["generate", ...args, ...files, "--quiet"]).output();
    const wall = (performance.now() - began) / 1000;
    if (code !== 0) throw failed("generate", new TextDecoder().decode(stderr));
    return { wall, cpu: (await cpuTimes("self")).children - before.children };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
