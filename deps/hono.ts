export { OpenAPIHono, z } from "npm:@hono/zod-openapi@1.6.3";
export type { RouteConfig } from "npm:@hono/zod-openapi@1.6.3";
export type { Context } from "npm:hono@4.13.19";
export { cors } from "npm:hono@4.13.19/cors";
export { getMimeType } from "npm:hono@4.13.19/utils/mime";
