import "../backend.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  type Ended,
  ended,
  inFolder,
  MODEL,
  narrowed,
  permissionsOf,
  refuses,
  spawn,
} from "./process.ts";
import { RedisServer, SKIP_REDIS } from "../serve/fleet/redis_server.ts";

/** A command line with the permissions of its task, but for one. */
function run(cwd: string, args: readonly string[], without?: string): Deno.ChildProcess {
  const flags = narrowed(args[0]!, cwd);
  return spawn(cwd, flags.filter((flag) => flag.replace(/=.*/, "") !== without), args);
}

/** A server that answers, as a process. */
interface Served {
  readonly url: string;
  /** Ends it by SIGTERM. */
  end(): Promise<Pick<Ended, "code" | "err">>;
}

/** Starts a server, and waits until it is ready. */
async function serve(cwd: string, args: readonly string[]): Promise<Served> {
  const port = args.includes("--port") ? [] : ["--port", "0"];
  const process = run(cwd, ["serve", ...port, ...args]);
  const err = new Response(process.stderr).text();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await lines.read();
  const url = value.trim().replace(/\/$/, "");
  assert(/^http:\/\/127\.0\.0\.1:\d+$/.test(url), `${value} ${value ? "" : await err}`);
  const ready = async () => {
    const response = await fetch(`${url}/readyz`);
    await response.body?.cancel();
    return response.ok;
  };
  while (!await ready()) await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    url,
    async end() {
      process.kill("SIGTERM");
      const late = setTimeout(() => process.kill("SIGKILL"), 60_000);
      const [{ code }] = await Promise.all([process.status, lines.cancel()]);
      clearTimeout(late);
      return { code, err: await err };
    },
  };
}

function ask(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

const windows = Deno.build.os === "windows"; // a child cannot be sent SIGTERM

Deno.test({
  name: "serve makes what the command line makes, keeps what URLs lead to, and ends what it took",
  ignore: windows,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, "token"), "0123456789abcdef\n");
      const flags = ["-m", MODEL, "--token-file", "token", "--results", "kept"];
      const server = await serve(folder, flags);
      const authorization = "Bearer 0123456789abcdef";
      const refused = await ask(server.url, { prompt: "red apple" });
      assertEquals(refused.status, 401);
      assertEquals((await refused.json()).error.type, "authentication_error");
      const weights = await fetch(`${server.url}/model/config.json`);
      assertEquals([weights.status, await weights.text() === ""], [404, false]);
      const request = { prompt: "red apple", seed: 7, response_format: "url" };
      const { data: [{ url }] } = await (await ask(server.url, request, { authorization })).json();
      const png = await (await fetch(url)).bytes();
      const args = ["generate", "red apple", "--seed", "7", "-m", MODEL, "-o", "own.png"];
      assertEquals((await ended(run(folder, args))).code, 0);
      assertEquals(png, await Deno.readFile(join(folder, "own.png")));
      assertEquals([...Deno.readDirSync(join(folder, "kept"))].length, 1);
      // asked before the end, answered after it
      const asked = ["a", "b", "c"].map((prompt) => ask(server.url, { prompt }, { authorization }));
      const taken = async () => {
        const response = await fetch(`${server.url}/metrics`, { headers: { authorization } });
        const jobs = /^bitwise_(?:running_jobs|queue_jobs|images_total\{outcome="made"\}) (\d+)$/gm;
        return (await response.text()).matchAll(jobs).reduce((sum, [, n]) => sum + Number(n), 0);
      };
      // the first one was made; a request that is under way is not one that was taken
      while (await taken() < 1 + asked.length);
      const { code, err } = await server.end();
      assertEquals(code, 0, err);
      for (const response of asked) {
        const { status, ...rest } = await response;
        assertEquals(status, 200, JSON.stringify(rest));
        await (await response).body?.cancel();
      }
      const again = await serve(folder, [...flags, "--port", new URL(server.url).port]);
      const kept = await fetch(url);
      assertEquals([kept.status, (await kept.bytes()).length], [200, png.length]);
      // the log says why
      await Deno.remove(join(folder, "kept"), { recursive: true });
      await Deno.writeTextFile(join(folder, "kept"), "");
      const failed = await ask(again.url, request, { authorization });
      assertEquals([failed.status, (await failed.json()).error.code], [500, "not-stored"]);
      const last = await again.end();
      assertEquals(last.code, 0);
      assert(/^warning: Cannot keep the image: the store failed: .+$/m.test(last.err), last.err);
    }),
});

Deno.test({
  name: "serve ends although a client reads nothing of what it asked for",
  ignore: windows,
  fn: () =>
    inFolder(async (folder) => {
      const server = await serve(folder, ["-m", MODEL]);
      using socket = await Deno.connect({ port: Number(new URL(server.url).port) });
      const request = "GET /model/transformer.safetensors HTTP/1.1\r\nhost: localhost\r\n\r\n";
      await socket.write(new TextEncoder().encode(request.repeat(20)));
      await socket.read(new Uint8Array(1));
      const { code, err } = await server.end();
      assertEquals(code, 0, err);
    }),
});

Deno.test({
  name: "serve needs each permission of its task, and a token where others can reach it",
  ignore: windows,
  fn: () =>
    inFolder(async (folder) => {
      const line = ["serve", "--port", "0", "-m", MODEL];
      for (const flag of permissionsOf("serve")) {
        // of these, --results needs the first one, and the library of --redis the other
        if (flag.startsWith("--allow-env") || /^--(allow-write|ignore-env)$/.test(flag)) continue;
        const { code, err } = await ended(run(folder, line, flag));
        assertEquals(code, 1, `without ${flag}: ${err}`);
        assertStringIncludes(err, flag);
      }
      const { code, err } = await ended(run(folder, [...line, "--host", "0.0.0.0"]));
      assertEquals(code, 2);
      assertStringIncludes(err, "error: Cannot listen on 0.0.0.0 without a token");
      await Deno.writeTextFile(join(folder, "token"), "short\n");
      const remote = ["serve", "--redis", "redis://127.0.0.1:1", "--type", "f16"];
      await refuses(remote, 2, "Cannot use --type and --redis together: workers have their own");
      const short = await ended(run(folder, [...line, "--token-file", "token"]));
      assertEquals(short.code, 2);
      assertStringIncludes(short.err, 'error: Cannot use the token of "token"');
    }),
});

Deno.test({
  name: `serve with --redis is a front without a GPU, whose images workers make${SKIP_REDIS.why}`,
  ignore: SKIP_REDIS.ignore || windows,
  fn: () =>
    inFolder(async (folder) => {
      await using redis = await RedisServer.start();
      const queue = ["--redis", redis.url, "--results", "kept"];
      const worker = run(folder, ["worker", ...queue, "-m", MODEL]);
      const server = await serve(folder, queue);
      const response = await ask(server.url, { prompt: "camel", seed: 3, stream: true });
      const text = await response.text();
      assertEquals(text.match(/^event: .*$/gm), [
        ...Array(4).fill("event: image_generation.partial_image"),
        "event: image_generation.completed",
      ]);
      assertEquals((await server.end()).code, 0);
      worker.kill("SIGTERM");
      const { code, err } = await ended(worker);
      assertEquals(code, 0, err);
    }),
});
