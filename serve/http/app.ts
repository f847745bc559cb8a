/** The server: from requests to answers, whoever makes the images. */

import { cors } from "../../deps/hono.ts";
import type { Maker } from "../jobs/job.ts";
import { addA1111 } from "./a1111/routes.ts";
import { apiOf, errorResponse } from "./base/error_shapes.ts";
import { type Problem, problemOf } from "./base/errors.ts";
import { Bodies, Held } from "./base/held.ts";
import { LIMITS, type Limits } from "./base/limits.ts";
import { Routes } from "./base/routes.ts";
import { addPredictions } from "./cog/routes.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { Files, type FilesOptions } from "./making/files.ts";
import { LoadedModel, type Service } from "./making/service.ts";
import { Metrics } from "./metrics.ts";
import { addImages } from "./openai/images.ts";
import { addModels, Models } from "./openai/models.ts";
import { answerModel, answerPage } from "./page.ts";
import { Pictures } from "./pictures/pictures.ts";
import { addServerRoutes } from "./server_routes.ts";

/** How to serve. */
export interface AppOptions extends GuardOptions {
  /** What requests may cost, in place of {@link LIMITS}. */
  readonly limits?: Partial<Limits>;
  /** Other names of the model, such as its folder's. */
  readonly models?: readonly string[];
  /** Where results are kept whose URLs are asked for; if absent, answers must have them. */
  readonly files?: FilesOptions;
  /** The server's URL as clients know it, without a slash at its end, for URLs of files; that of the request if absent. */
  readonly url?: string;
  /** The folder of the page; a line of text if absent. */
  readonly page?: string;
  /** The folder of the model, whose files the page's engine in a tab loads; they are not handed out if absent. */
  readonly modelFolder?: string;
  /** What counts; the same must have been given to the maker as events. */
  readonly metrics?: Metrics;
  /** Called with each error that is the server's fault. */
  readonly onError?: (error: unknown, problem: Problem) => void;
}

/** What serves. */
export interface HttpApp {
  /** Answers a request; never rejects. */
  fetch(request: Request): Promise<Response>;
  /** Cancels predictions that still work, and ends the thread of images. The maker is its owner's to close. */
  close(): void;
}

/** Headers of all answers. */
const SECURITY: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
};

/**
 * Makes a server of a maker of images: the APIs of OpenAI, A1111 and cog, the page, files, health and metrics.
 *
 * @example
 * ```ts
 * import { createApp } from "./app.ts";
 * import { openEngine } from "../engine/engine.ts";
 *
 * const maker = openEngine({ model: "assets/models/emoji-nano" });
 * const app = createApp(maker);
 * const request = new Request("http://localhost/healthz");
 * console.log((await app.fetch(request)).status); // 200
 * app.close();
 * await maker.close();
 * ```
 */
export function createApp(maker: Maker, options: AppOptions = {}): HttpApp {
  const limits = { ...LIMITS, ...options.limits };
  const metrics = options.metrics ?? new Metrics();
  const guard = new Guard(options);
  const bodies = new Bodies(limits);
  const pictures = new Pictures();
  metrics.watch(maker, () => bodies.bytes);
  const report = (error: unknown): Problem => {
    const problem = closing(maker, problemOf(error));
    if (problem.ours) options.onError?.(error, problem);
    return problem;
  };
  const service: Service = {
    maker,
    model: new LoadedModel(maker),
    limits,
    bodies,
    pictures,
    files: options.files && new Files(options.files, limits.urlSeconds),
    originOf: (request) => options.url ?? new URL(request.url).origin,
    report,
  };
  const routes = new Routes((request) => guard.checkToken(request));
  const { app } = routes;

  app.use(async (c, next) => {
    const began = performance.now();
    const held = new Held(bodies);
    c.set("held", held);
    c.set("route", "other");
    await held.until(next());
    for (const [name, value] of Object.entries(SECURITY)) c.header(name, value);
    if (!c.res.headers.has("content-security-policy")) {
      c.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    }
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
    const seconds = (performance.now() - began) / 1000;
    metrics.observe(methodOf(c.req.method), c.var.route, c.res.status, seconds);
  });
  app.use(async (c, next) => {
    guard.checkOrigin(c.req.raw);
    await next();
  });
  if (options.origins?.length) {
    const origin = (given: string) => guard.allows(given) ? given : null;
    app.use(cors({ origin, exposeHeaders: ["retry-after"], maxAge: 600 }));
  }

  addServerRoutes(routes, service, metrics);
  const models = new Models(service, options.models ?? []);
  addModels(routes, models);
  addImages(routes, service, models);
  addA1111(routes, service);
  const predictions = addPredictions(routes, service);

  app.notFound(async (c) => {
    const { path, method } = c.req;
    const known = method === "GET" || method === "HEAD";
    const file = known && apiOf(path) === "other"
      ? await answerModel(options.modelFolder, path) ?? await answerPage(options.page, path)
      : null;
    if (file && method === "HEAD") {
      // dropped unread, the file would stay open
      await file.body?.cancel();
      return new Response(null, file);
    }
    if (file) return file;
    const message = `Cannot answer: there is no ${methodOf(method)} at this path`;
    return errorResponse(apiOf(path), { status: 404, code: "not-found", message });
  });
  const answerError = (error: unknown, path: string) => errorResponse(apiOf(path), report(error));
  app.onError((error, c) => answerError(error, c.req.path));

  return {
    fetch: async (request) => {
      try {
        return await app.fetch(request);
      } catch (error) {
        // what is thrown and is no Error
        return answerError(error, new URL(request.url).pathname);
      }
    },
    close: () => {
      predictions.close();
      pictures.close();
    },
  };
}

/** A queue that takes nothing because it closes is not one that is full. */
function closing(maker: Maker, problem: Problem): Problem {
  if (problem.code !== "queue-full" || maker.state().ready) return problem;
  return { status: 503, code: "closing", message: "Cannot take another image: the server closes" };
}

/** A method as metrics and messages name it: clients may invent others. */
function methodOf(method: string): string {
  return ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PATCH"].includes(method)
    ? method
    : "other";
}
