/** The shapes in which the APIs report errors. */

import type { Problem } from "./errors.ts";

/** An API whose clients expect errors in a shape of their own. */
export type Api = "openai" | "a1111" | "cog" | "other";

/** Which API a path belongs to. */
export function apiOf(path: string): Api {
  if (path.startsWith("/v1/")) return "openai";
  if (path.startsWith("/sdapi/")) return "a1111";
  return /^\/predictions(\/|$)/.test(path) ? "cog" : "other";
}

/** OpenAI's names of errors, by status. */
const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
};

/** An error in OpenAI's shape. */
export function openaiError({ status, code, message, param }: Problem) {
  const type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
  return { error: { message, type, param: param ?? null, code } };
}

/** The body of an error's answer. */
export function errorBody(api: Api, problem: Problem): object {
  const { code, message, param } = problem;
  switch (api) {
    case "a1111":
      return { error: code, detail: message, body: "", errors: message };
    case "cog":
      return {
        detail: param
          ? [{ loc: ["body", ...param.split(".")], msg: message, type: code }]
          : message,
      };
    default:
      return openaiError(problem);
  }
}

/** Answers with an error. Wrong fields have the status that the API uses for them. */
export function errorResponse(api: Api, problem: Problem): Response {
  const wrong = problem.status === 400 && problem.param !== undefined;
  const status = wrong && api !== "openai" && api !== "other" ? 422 : problem.status;
  return Response.json(errorBody(api, problem), { status, headers: problem.headers });
}
