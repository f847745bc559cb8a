// deno-lint-ignore no-import-prefix -- it is a tool of this program alone
import autocannon from "npm:autocannon@9.0.0";
import { percentile } from "../measuring/measure.ts";

/** Requests that are sent by clients of which each waits for its answer. */
export interface LoadOptions {
  /** Where the server is, without a path. */
  readonly url: string;
  /** What clients ask for, in turn. */
  readonly prompts: readonly string[];
  readonly clients: number;
  readonly requests: number;
  /** Seconds after which an answer counts as lost; 300 if absent. */
  readonly patience?: number;
}

/** How a load was answered. */
export interface Load {
  readonly clients: number;
  /** Answers by status. */
  readonly answers: Readonly<Record<string, number>>;
  /** Requests that were answered with neither an image nor 429. */
  readonly lost: number;
  /** Seconds until the answer, of those with an image; NaN if there are none. */
  readonly p50: number;
  readonly p95: number;
  /** Images in a second, from the first request to the last answer. */
  readonly perSecond: number;
}

/** Asks for images by OpenAI's API. The number of requests is exact. */
export async function load(options: LoadOptions): Promise<Load> {
  const { url, prompts, clients, requests, patience = 300 } = options;
  const seconds: number[] = [];
  const answers: Record<string, number> = {};
  const began = performance.now();
  let last = began;
  const running = autocannon({
    url: `${url}/v1/images/generations`,
    connections: Math.min(clients, requests),
    amount: requests,
    timeout: patience,
    requests: prompts.map((prompt) => ({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt, response_format: "b64_json" }),
    })),
  });
  running.on(
    "response",
    (_client: unknown, status: number, _bytes: number, milliseconds: number) => {
      last = performance.now();
      answers[status] = (answers[status] ?? 0) + 1;
      if (status === 200) seconds.push(milliseconds / 1000);
    },
  );
  await running;
  return {
    clients,
    answers,
    lost: requests - (answers[200] ?? 0) - (answers[429] ?? 0),
    p50: percentile(seconds, 0.5),
    p95: percentile(seconds, 0.95),
    perSecond: 1000 * seconds.length / (last - began),
  };
}
