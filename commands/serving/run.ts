import { UsageError } from "../flags/flags.ts";
import type { ServeGiven } from "../flags/serve_flags.ts";
import { OF_WORKERS, refuseLocal, startRemoteMaker } from "../io/fleet.ts";
import { detail, type Io, note, warn } from "../io/io.ts";
import { loaded, startMaker } from "../io/maker.ts";
import { isLoopback, listenError, readToken } from "./address.ts";
import { basename, fromFileUrl, join } from "../../deps/@std/path.ts";
import { aborted, sendError, within } from "../../engine/mod.ts";
import { isUrl } from "../../model/checkpoint/folder.ts";
import { createApp, type HttpApp } from "../../serve/http/app.ts";
import { RequestError } from "../../serve/http/base/errors.ts";
import { Metrics } from "../../serve/http/metrics.ts";
import type { Maker } from "../../serve/jobs/job.ts";
import { MemoryStore } from "../../serve/stores/memory_store.ts";
import { openStore } from "../../serve/stores/open_store.ts";
import { keyOf, SignedUrls } from "../../serve/stores/signed_urls.ts";
import type { Store } from "../../serve/stores/store.ts";

/** Where to listen if nothing else is said. */
const HOST = "127.0.0.1";
const PORT = 8080;
/** Milliseconds in which clients must have read their answers when all images are made. */
const LAST_WORDS = 10_000;
/** Bytes of images behind URLs that are kept in memory. */
const MEMORY = 2 ** 28;

/** Who makes the images, and where those behind URLs are kept. */
interface Backstage {
  readonly maker: Maker;
  readonly store: Store;
  /** The folder of the model, if it is on disk. */
  readonly modelFolder?: string;
}

/** Serves until Ctrl-C or SIGTERM, or until the model turns out not to load. */
export async function serveImages(given: ServeGiven, io: Io): Promise<number> {
  const { host = HOST, port = PORT, "token-file": tokenFile } = given;
  if (tokenFile === undefined && !isLoopback(host)) {
    throw new UsageError(
      `Cannot listen on ${host} without a token: others could use the GPU; give a --token-file`,
    );
  }
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile, io);
  const metrics = new Metrics();
  const { maker, store, modelFolder } = await openBackstage(given, metrics, io);
  try {
    const app = createApp(maker, {
      token,
      hosts: [host, ...given["allow-host"] ?? []],
      origins: given.cors,
      url: given.url,
      models: [given.model, modelFolder && basename(modelFolder)].filter((name) =>
        name !== undefined
      ),
      limits: {
        ...given.timeout !== undefined && { requestSeconds: given.timeout },
        ...given["max-images"] !== undefined && { images: given["max-images"] },
        ...given["max-pixels"] !== undefined && { maxPixels: given["max-pixels"] },
      },
      files: { store, urls: new SignedUrls(token === undefined ? undefined : keyOf(token)) },
      page: await pageFolder(),
      // a page cannot send the token with it, and weights may be secret
      modelFolder: token === undefined ? modelFolder : undefined,
      metrics,
      onError: (error) => {
        warn(io, reasonOf(error));
        detail(io, `${error instanceof Error ? error.stack : error}`);
      },
    });
    try {
      return await listen(app, maker, { host, port }, io);
    } finally {
      app.close();
    }
  } finally {
    await maker.close("at once");
  }
}

async function openBackstage(given: ServeGiven, metrics: Metrics, io: Io): Promise<Backstage> {
  const { queue, results } = given;
  const { events } = metrics;
  if (given.redis !== undefined) {
    refuseLocal(given, OF_WORKERS);
    return await startRemoteMaker(given, { limit: queue, events }, io);
  }
  if (given["redis-queue"] !== undefined) {
    throw new UsageError("Cannot use --redis-queue without --redis");
  }
  const store = results === undefined ? new MemoryStore(MEMORY) : openStore(results);
  const { maker, folder } = await startMaker(given, { queue, events }, io);
  return { maker, store, modelFolder: diskPath(folder) };
}

/** Why the server failed a client, in one line: more than the client hears. */
function reasonOf(error: unknown): string {
  const { message } = sendError(error, "Cannot answer");
  if (!(error instanceof RequestError) || error.cause === undefined) return message;
  return `${message}: ${sendError(error.cause, "Cannot write").message}`;
}

/** The path of a model folder; undefined if it is on a web server. */
function diskPath(folder: string | URL | undefined): string | undefined {
  if (folder === undefined || !isUrl(`${folder}`)) return folder?.toString();
  const { protocol } = new URL(folder);
  return protocol === "file:" ? fromFileUrl(folder) : undefined;
}

/** The folder of the page; undefined where it was not built, or this library is not on disk. */
async function pageFolder(): Promise<string | undefined> {
  const url = new URL("../../dist/page", import.meta.url);
  if (url.protocol !== "file:") return undefined;
  const folder = fromFileUrl(url);
  return await Deno.stat(join(folder, "index.html")).then(() => folder, () => undefined);
}

/** Answers until the signal, then finishes what was asked. */
async function listen(
  app: HttpApp,
  maker: Maker,
  { host, port }: { readonly host: string; readonly port: number },
  io: Io,
): Promise<number> {
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname: host, port, onListen() {} }, (request) => app.fetch(request));
  } catch (error) {
    throw listenError(error, host, port);
  }
  const name = host.includes(":") ? `[${host}]` : host;
  io.out(`http://${name}:${server.addr.port}/`);
  try {
    const card = await loaded(maker, io);
    note(io, `Serving ${card.name}`);
    await aborted(io.signal);
    note(io, "Finishing what was asked; again to end at once");
    // answers end when their images are made; new requests are refused meanwhile
    const answered = server.shutdown();
    await maker.close();
    await within(LAST_WORDS, answered);
    return 0;
  } catch (error) {
    await within(LAST_WORDS, server.shutdown());
    throw error;
  }
}
