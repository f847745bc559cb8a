export { createRoute, OpenAPIHono, z } from "npm:@hono/zod-openapi@1.6.3";
export type { Context, MiddlewareHandler } from "npm:hono@4.13.19";
export { bodyLimit } from "npm:hono@4.13.19/body-limit";
export { cors } from "npm:hono@4.13.19/cors";
export { streamSSE } from "npm:hono@4.13.19/streaming";
