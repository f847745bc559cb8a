/** `/v1/models`: the loaded model, and what it can do. */

import { RequestError } from "../base/errors.ts";
import { answer, pathParam, type Routes } from "../base/routes.ts";
import type { Service } from "../making/service.ts";
import { ErrorResponse, Model, ModelList } from "./schemas.ts";

/** OpenAI's image models: clients that were written for them get the loaded one. */
const OPENAI = /^(gpt-image|chatgpt-image|dall-e)(-[\w.-]{1,64})?$/;

/** The names by which clients may call the loaded model. */
export class Models {
  readonly #created = Math.floor(Date.now() / 1000);

  /** Knows the model by `others` too, such as its folder's name. */
  constructor(private readonly service: Service, private readonly others: readonly string[]) {}

  /** Refuses a model that is not here. @throws {RequestError} 404 */
  check(name: string | null | undefined): void {
    const { card } = this.service.model;
    if (name === null || name === undefined || name === "") return;
    if (name === card.name || this.others.includes(name) || OPENAI.test(name)) return;
    const message = `Cannot use the model ${
      JSON.stringify(name.slice(0, 100))
    }: ${card.name} is loaded`;
    throw new RequestError(404, "model_not_found", message, { param: "model" });
  }

  /** The model in OpenAI's shape. */
  describe() {
    const { model: { card }, limits, files } = this.service;
    return {
      id: card.name,
      object: "model",
      created: this.#created,
      owned_by: "bitwise",
      bitwise: {
        sizes: card.sizes,
        defaults: card.defaults,
        edits: card.edits,
        limits: { n: limits.images, prompt: limits.promptLength, body: limits.bodyBytes },
        urls: files !== undefined,
        type: card.type,
        adapter: card.adapter,
      },
    };
  }
}

/** Adds the routes. */
export function addModels(routes: Routes, models: Models): void {
  const tags = ["OpenAI"];
  routes.add({
    method: "get",
    path: "/v1/models",
    summary: "Lists the loaded model",
    tags,
    responses: { 200: answer("The model", ModelList) },
  }, (c) => c.json({ object: "list", data: [models.describe()] }));
  routes.add({
    method: "get",
    path: "/v1/models/{id}",
    summary: "Describes the loaded model",
    tags,
    request: { params: pathParam("id") },
    responses: {
      200: answer("The model", Model),
      404: answer("Another model is loaded", ErrorResponse),
    },
  }, (c) => {
    models.check(c.req.param("id"));
    return c.json(models.describe());
  });
}
