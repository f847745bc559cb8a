/** Routes, each with its part of the OpenAPI document. */

import { type Context, OpenAPIHono, type RouteConfig, z } from "../../../deps/hono.ts";
import type { Held } from "./held.ts";

/** What a request carries besides itself. */
export interface Env {
  Variables: {
    /** Its body. */
    held: Held;
    /** The route that answers it, for metrics. */
    route: string;
  };
}

/** A request and its answer. */
export type Ctx = Context<Env>;
/** The application. */
export type App = OpenAPIHono<Env>;
/** Answers a request. */
export type Handler = (c: Ctx) => Response | Promise<Response>;

/** Adds routes that ask for the token. */
export class Routes {
  /** The application. */
  readonly app: App = new OpenAPIHono<Env>();

  /** Asks for the token by `authorise`, which throws without it. */
  constructor(private readonly authorise: (request: Request) => void) {}

  /** Adds a route. */
  add(spec: RouteConfig, handler: Handler): void {
    this.#add({ ...spec, security: [{ token: [] }] }, (c) => {
      this.authorise(c.req.raw);
      return handler(c);
    });
  }

  /** Adds a route that anyone may ask. */
  addOpen(spec: RouteConfig, handler: Handler): void {
    this.#add({ ...spec, security: [] }, handler);
  }

  #add(spec: RouteConfig, handler: Handler): void {
    this.app.openAPIRegistry.registerPath(spec);
    const path = spec.path.replaceAll(/\{(\w+)\}/g, ":$1");
    this.app.on([spec.method.toUpperCase()], path, (c) => {
      c.set("route", spec.path);
      return handler(c as Ctx);
    });
  }
}

/** JSON in the OpenAPI document. */
export function json(schema: z.ZodType) {
  return { "application/json": { schema } };
}

/** An answer in the OpenAPI document. */
export function answer(description: string, schema?: z.ZodType) {
  return schema ? { description, content: json(schema) } : { description };
}

/** A parameter of a path. */
export function pathParam(name: string) {
  return z.object({ [name]: z.string() });
}
