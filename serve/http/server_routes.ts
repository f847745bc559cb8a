/** Routes about the server itself. */

import { z } from "../../deps/hono.ts";
import { RequestError } from "./base/errors.ts";
import { answer, type Routes } from "./base/routes.ts";
import type { Service } from "./making/service.ts";
import type { Metrics } from "./metrics.ts";

const State = z.object({ status: z.string() }).openapi("State");

/** Why a file is not handed out. */
const PROBLEMS = {
  unsigned: [403, "Cannot hand out the file: the URL is not signed by this server"],
  expired: [410, "Cannot hand out the file: the URL has expired"],
  absent: [404, "Cannot hand out the file: it is no longer kept"],
} as const;

/** What has the document besides routes. */
const DOCUMENT = {
  openapi: "3.1.0",
  info: {
    title: "bitwise",
    version: "1",
    description: "Makes images with Infinity, by the APIs of OpenAI, A1111 and cog",
  },
};

/** Adds the routes. */
export function addServerRoutes(routes: Routes, service: Service, metrics: Metrics): void {
  const tags = ["Server"];
  routes.addOpen({
    method: "get",
    path: "/healthz",
    summary: "Says that the server answers",
    tags,
    responses: { 200: answer("It does", State) },
  }, (c) => c.json({ status: "ok" }));
  routes.addOpen({
    method: "get",
    path: "/readyz",
    summary: "Says whether images can be made",
    tags,
    responses: {
      200: answer("They can", State),
      503: answer("The model is loading, or the server is closing", State),
    },
  }, (c) => {
    const { ready } = service.model;
    return c.json({ status: ready ? "ready" : "not ready" }, ready ? 200 : 503);
  });
  routes.addOpen({
    method: "get",
    path: "/files/{name}",
    summary: "Hands out a result by its signed URL",
    tags,
    request: {
      params: z.object({ name: z.string() }),
      query: z.object({ expires: z.string(), signature: z.string() }),
    },
    responses: {
      200: { description: "The image" },
      403: answer("The URL is not signed"),
      404: answer("The file is no longer kept"),
      410: answer("The URL has expired"),
    },
  }, async (c) => {
    const found = service.files
      ? await service.files.answer(c.req.param("name")!, new URL(c.req.url).searchParams)
      : "absent";
    if (found instanceof Response) return found;
    const [status, message] = PROBLEMS[found];
    throw new RequestError(status, `file-${found}`, message);
  });
  routes.add({
    method: "get",
    path: "/metrics",
    summary: "Counts for Prometheus",
    tags,
    responses: { 200: answer("Text of Prometheus") },
  }, () => metrics.answer());
  const document = () => {
    const { openAPIRegistry: registry } = routes.app;
    registry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
    return routes.app.getOpenAPI31Document(DOCUMENT);
  };
  let made: ReturnType<typeof document> | undefined;
  routes.add({
    method: "get",
    path: "/openapi.json",
    summary: "This document",
    tags,
    responses: { 200: answer("The document") },
  }, (c) => c.json(made ??= document()));
}
