import { join } from "@std/path";

/** Where Debian puts it. */
const SERVER = "redis-server";

const found = await new Deno.Command(SERVER, { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

/** For tests that need a Redis: whether they are skipped, and what their names say of it. */
export const SKIP_REDIS = { ignore: !found, why: found ? "" : " (skipped: no redis-server here)" };

/** A Redis on loopback that keeps nothing. */
export class RedisServer {
  #process: Deno.ChildProcess;

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly password: string | undefined,
  ) {
    this.#process = this.#spawn();
  }

  /** Starts one on a free port. */
  static async start(password?: string): Promise<RedisServer> {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    const folder = await Deno.makeTempDir({ prefix: "bitwise-redis-" });
    const server = new RedisServer(port, folder, password);
    await server.#answers();
    return server;
  }

  /** Its URL. */
  get url(): string {
    const login = this.password === undefined ? "" : `:${this.password}@`;
    return `redis://${login}127.0.0.1:${this.port}`;
  }

  #spawn(): Deno.ChildProcess {
    const { port, password } = this;
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    if (password !== undefined) args.push("--requirepass", password);
    return new Deno.Command(SERVER, {
      args: [...args, "--logfile", join(this.folder, "log")],
      cwd: this.folder,
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Waits until it takes connections. */
  async #answers(): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      try {
        (await Deno.connect({ port: this.port, hostname: "127.0.0.1" })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    throw new Error(await Deno.readTextFile(join(this.folder, "log")));
  }

  /** Ends it, with all that it holds. */
  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  /** Starts it again, empty, on the same port. */
  async again(): Promise<void> {
    this.#process = this.#spawn();
    await this.#answers();
  }

  /** Ends it and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}
