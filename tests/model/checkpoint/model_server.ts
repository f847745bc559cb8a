import { fromFileUrl, join } from "@std/path";

const TOP = fromFileUrl(new URL("../../..", import.meta.url));
/** The models in the box. */
export const BOX = join(TOP, "assets", "models");
/** The default model. */
export const NAME = "emoji-scenes";

/** How a server answers for a path; the file if it returns nothing. */
type Answer = (path: string) => Response | Promise<Response> | undefined;

/** Serves assets/models. */
export class ModelServer implements AsyncDisposable {
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  constructor(answer: Answer = () => undefined) {
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      signal: this.#stop.signal,
    };
    this.#server = Deno.serve(options, async (request) => {
      const path = new URL(request.url).pathname.slice(1);
      this.asked.push(path);
      const missing = () => new Response("no", { status: 404 });
      const file = () => Deno.readFile(join(BOX, path)).then((b) => new Response(b), missing);
      return await answer(path) ?? await file();
    });
  }

  get base(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }
}

/** Copies the code without the models. */
export async function copyCode(to: string): Promise<void> {
  const copy = async (path: string): Promise<void> => {
    if (!(await Deno.stat(join(TOP, path))).isDirectory) {
      return await Deno.copyFile(join(TOP, path), join(to, path));
    }
    await Deno.mkdir(join(to, path));
    for await (const { name } of Deno.readDir(join(TOP, path))) await copy(join(path, name));
  };
  const rooms = ["engine", "kernels", "model", "commands", "deps"];
  for (const path of [...rooms, "cli.ts", "deno.json", "deno.lock"]) await copy(path);
}

/** Deno's own cache, which would move with XDG_CACHE_HOME. */
export async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
