// What clients send to the server: several requests to one, whose images are made by a maker without a GPU.
import { join } from "@std/path";
import { encodePng } from "../../../model/image/png.ts";
import { createApp, type HttpApp } from "../../../serve/http/app.ts";
import { replyTo } from "../../../serve/http/pictures/reply.ts";
import { readQueued } from "../../../serve/fleet/protocol.ts";
import { MemoryStore } from "../../../serve/stores/memory_store.ts";
import { SignedUrls } from "../../../serve/stores/signed_urls.ts";
import type { Job } from "../../../serve/jobs/job.ts";
import { JPEG, WEBP } from "../../model/image/image_files.ts";
import { BITS, CARD, FakeMaker, SIDE } from "../../serve/http/fake_maker.ts";
import { inFolder } from "../in_folder.ts";
import { joined, mutateBytes, mutateText, mutateTree, number, text, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader, textFault } from "../reader.ts";

/** A request, and whether its client leaves before the answer, or in the midst of it. */
interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array;
  readonly leaves: "never" | "early" | "midway";
}

const TOKEN = "0123456789abcdef";
const SECRET = "what no client may see";
/** The beginning of paths in stack traces. */
const HERE = new URL("../../..", import.meta.url).href;
const LIMITS = {
  bodyBytes: 2 ** 18,
  textBytes: 2 ** 16,
  heldBytes: 2 ** 19,
  promptLength: 1000,
  images: 4,
  maxPixels: 10_000,
  predictions: 3,
};

const PNG = encodePng(new Uint8Array(4 * SIDE * SIDE).fill(200), SIDE, SIDE, {
  parameters: "a red dot\nSteps: 4, Seed: 1",
});

/** Stands for an image in the bodies below. */
const IMAGE = "IMAGE";

/** An image in base64, or what is none. */
function image(random: Random): string {
  const file = random.pick([PNG, PNG, BITS, JPEG, WEBP]);
  const made = random.chance(0.6) ? file : mutateBytes(random, file);
  return random.pick(["", "", "data:image/png;base64,", "data:,", "http://"]) + made.toBase64();
}

const SAMPLING = { negative_prompt: "blue", cfg_scale: [1, 2], cfg_until: 3, tau: 0.5, top_k: 2 };
const GENERATION = {
  ...{ prompt: "red apple", n: 2, size: "8x8", model: "squares", seed: 7, stream: false },
  ...{ response_format: "b64_json", output_format: "png", output_compression: 90, top_p: 0.9 },
  ...{ partial_images: 1, include_bits: true, user: "x", greedy: false, ...SAMPLING },
};
const EDIT = { ...GENERATION, image: IMAGE, mask: IMAGE, strength: 0.5 };
const PREDICTION = {
  input: {
    ...{ prompt: "red apple", guidance: 2, seed: 7, num_outputs: 1, width: 8, height: 8 },
    ...{ image: IMAGE, output_format: "webp", output_quality: 50, output_urls: true, tau: 0.5 },
  },
};
const TXT2IMG = { prompt: "red apple", batch_size: 1, n_iter: 2, steps: 20, ...SAMPLING };

/** Routes with right bodies. */
const ROUTES: readonly (readonly [method: string, path: string, body?: object])[] = [
  ["POST", "/v1/images/generations", GENERATION],
  ["POST", "/v1/images/generations", GENERATION],
  ["POST", "/v1/images/edits", EDIT],
  ["POST", "/v1/images/edits", EDIT],
  ["POST", "/v1/images/variations", EDIT],
  ["POST", "/sdapi/v1/txt2img", TXT2IMG],
  ["POST", "/sdapi/v1/img2img", { ...TXT2IMG, init_images: [IMAGE], mask: IMAGE }],
  ["POST", "/sdapi/v1/interrupt", {}],
  ["POST", "/sdapi/v1/options", {}],
  ["GET", "/sdapi/v1/progress?skip_current_image=false"],
  ["GET", "/sdapi/v1/sd-models"],
  ["POST", "/predictions", PREDICTION],
  ["POST", "/predictions", { ...PREDICTION, id: "a" }],
  ["PUT", "/predictions/a", PREDICTION],
  ["GET", "/predictions/a"],
  ["POST", "/predictions/a/cancel", {}],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/squares"],
  ["GET", `/files/a.png?expires=9999999999&signature=${"A".repeat(43)}`],
  ["GET", "/metrics"],
  ["GET", "/openapi.json"],
  ["GET", "/"],
  ["GET", "/../secret.txt"],
  ["GET", "/model/config.json"],
];
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"];

/** Fields as a form has them. */
function formOf(random: Random, fields: object, boundary: string): Uint8Array<ArrayBuffer> {
  const parts = Object.entries(fields).map(([name, value]) => {
    const file = /^(image|mask)/.test(name) && random.chance(0.8);
    const head = `form-data; name="${name}"${file ? `; filename="${random.pick(TEXTS)}"` : ""}`;
    const content = file ? random.pick([PNG, BITS, JPEG]) : ascii(
      typeof value === "string" ? value : JSON.stringify(value) ?? "",
    );
    return [ascii(`--${boundary}\r\nContent-Disposition: ${head}\r\n\r\n`), content, ascii("\r\n")];
  });
  const bytes = joined(...parts.flat(), ascii(`--${boundary}--\r\n`));
  return random.chance(0.8) ? bytes : mutateBytes(random, bytes);
}

const ascii = (of: string) => new TextEncoder().encode(of);

/** A body with images in their places, which streams at times, and has no mask at others. */
function filledIn(random: Random, body: object): object {
  return JSON.parse(JSON.stringify(body), (key, value) => {
    if (key === "mask" && random.chance(0.5)) return undefined;
    if (key === "stream") return random.chance(0.3);
    return value === IMAGE ? image(random) : value;
  });
}

function ask(random: Random): Asked {
  const [method, path, right] = random.pick(ROUTES);
  const values = (random: Random, key: string) => {
    if (/image|mask/.test(key) && random.chance(0.8)) return image(random);
    return random.chance(0.3) ? number(random) : undefined;
  };
  const filled = right && filledIn(random, right);
  const tree = random.chance(0.5) ? mutateTree(random, filled, values) : filled;
  const form = path.startsWith("/v1/images/") && random.chance(0.3);
  const type = form ? "multipart/form-data; boundary=b" : "application/json";
  const written = form
    ? formOf(random, (tree ?? {}) as object, "b")
    : right && (JSON.stringify(tree) ?? "");
  const body = typeof written === "string" && random.chance(0.1)
    ? mutateText(random, written)
    : written ?? "";
  const headers: [string, string][] = [
    ["content-type", random.chance(0.95) ? type : random.pick(["text/plain", ...TEXTS])],
    ["authorization", random.chance(0.95) ? `Bearer ${TOKEN}` : text(random)],
  ];
  const others: [string, string][] = [
    ["host", random.pick(["localhost:80", "127.0.0.1", "[::1]:9", "evil.example", text(random)])],
    ["origin", random.pick(["http://localhost", "null", "https://evil.example", text(random)])],
    ["prefer", random.pick(["respond-async", "wait=0", "wait=99999", text(random)])],
    ["content-encoding", random.pick(["identity", "gzip", text(random)])],
    ["accept", text(random)],
    ["range", "bytes=0-"],
  ];
  return {
    method: random.chance(0.95) ? method : random.pick(METHODS),
    path: random.chance(0.9) ? path : mutateText(random, path),
    headers: [...headers, ...others.filter(() => random.chance(0.1))],
    body,
    leaves: random.chance(0.9) ? "never" : random.pick(["early", "midway"] as const),
  };
}

/** Does what a thread of images does, in this one. */
class ThreadHere {
  onmessage?: (event: { data: unknown }) => void;

  async postMessage(order: Parameters<typeof replyTo>[0]): Promise<void> {
    const reply = await replyTo(structuredClone(order));
    this.onmessage?.({ data: structuredClone(reply) });
  }

  terminate(): void {
    this.onmessage = undefined;
  }
}

function requestOf({ method, path, headers, body }: Asked, signal: AbortSignal): Request | null {
  const url = URL.parse(`http://localhost${path}`);
  if (!url || /^(CONNECT|TRACE|TRACK)$/i.test(method)) return null;
  const request = new Request(url, {
    method,
    signal,
    body: method === "GET" || method === "HEAD" ? undefined : body as BodyInit,
  });
  for (const [name, value] of headers) {
    if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) request.headers.set(name, value);
  }
  return request;
}

/** Statuses that an answer may have: no request may be the server's fault. */
const STATUSES = [200, 202, 204, 400, 401, 403, 404, 410, 413, 415, 421, 422, 429, 499];

async function checkAnswer(response: Response, leave: boolean): Promise<void> {
  const { status, headers } = response;
  claim(STATUSES.includes(status), `no status ${status}`);
  claim(headers.get("x-content-type-options") === "nosniff", "headers that protect");
  if (leave) return await response.body?.cancel();
  const bytes = await response.bytes();
  const body = new TextDecoder().decode(bytes);
  for (const hidden of [SECRET, TOKEN, HERE]) {
    claim(!body.includes(hidden), `nothing of ${hidden} in an answer`);
  }
  const type = headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) {
    for (const event of body.split("\n\n").filter((event) => !/^(:|$)/.test(event))) {
      const data = /^event: [a-z_.]+\ndata: (.+)$/.exec(event)?.[1];
      claim(data !== undefined, `an event, not ${event.slice(0, 100)}`);
      JSON.parse(data);
    }
  }
  if (!type.startsWith("application/json") || bytes.length === 0) return;
  const value = JSON.parse(body);
  if (status < 400) return;
  const [problem] = [value.error?.message, value.detail?.[0]?.msg, value.detail, value.errors]
    .filter((message) => typeof message === "string");
  claim(typeof problem === "string" && problem !== "", `a message in ${body.slice(0, 200)}`);
  claim(textFault(problem) === null, `a message, not ${textFault(problem)}`);
}

function checkJob(job: Job): void {
  const { job: same } = readQueued({ job: structuredClone(job) });
  claim(JSON.stringify(same) === JSON.stringify(job), "a job that a queue takes");
  const { prompt, seed, settings } = job;
  claim(prompt.length > 0 && prompt.length <= LIMITS.promptLength, "a prompt of its length");
  claim(BigInt(seed) < 2n ** 64n, "a seed of 64 bits");
  const { init, mask, width, height, negativePrompt = "", ...numbers } = settings;
  claim(negativePrompt.length <= LIMITS.promptLength, "a negative prompt of its length");
  claim(
    width === undefined && height === undefined ||
      CARD.sizes.some((size) => size.width === width && size.height === height),
    `a size of the model, not ${width}x${height}`,
  );
  for (const file of [init, mask]) if (file !== undefined) Uint8Array.fromBase64(file);
  for (const [name, value] of Object.entries(numbers)) {
    const all = [value].flat();
    const right = all.every((one) => typeof one === "boolean" || Number.isFinite(one) && one! >= 0);
    claim(right && all.length <= 64, `${name}, not ${JSON.stringify(value)?.slice(0, 100)}`);
  }
}

/** Bytes of bodies that an application holds, by its metrics. */
async function heldBytes(app: HttpApp): Promise<number> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const metrics = await app.fetch(new Request("http://localhost/metrics", { headers }));
  return Number(/^bitwise_held_body_bytes (\d+)$/m.exec(await metrics.text())![1]);
}

export const http = reader({
  usesFiles: true,
  make: (random) => ({
    requests: random.list(1, 4, () => ask(random)),
    together: random.chance(0.5),
    guarded: random.chance(0.3),
  }),
  read: ({ requests, together, guarded }) =>
    inFolder(
      [["page/index.html", "<p>page"], ["model/config.json", "{}"], ["secret.txt", SECRET]],
      async (folder) => {
        const maker = new FakeMaker();
        const faults: unknown[] = [];
        const checkFaults = () =>
          claim(faults.length === 0, `no error of the server's: ${faults[0]}`);
        const app = createApp(maker, {
          limits: LIMITS,
          files: { store: new MemoryStore(2 ** 20), urls: new SignedUrls() },
          page: join(folder, "page"),
          modelFolder: join(folder, "model"),
          onError: (error) => faults.push(error),
          ...guarded && { token: TOKEN, hosts: ["example.org"], origins: ["https://example.org"] },
        });
        await maker.card;
        const { Worker } = globalThis;
        globalThis.Worker = ThreadHere as never;
        try {
          const answer = async (asked: Asked) => {
            const client = new AbortController();
            const request = requestOf(asked, client.signal);
            if (!request) return;
            const answer = app.fetch(request);
            if (asked.leaves === "early") client.abort();
            const response = await answer;
            checkFaults();
            await checkAnswer(response, asked.leaves === "midway");
          };
          if (together) await Promise.all(requests.map(answer));
          else for (const asked of requests) await answer(asked);
          for (const job of maker.jobs) checkJob(job);
          // predictions go on after their answer
          for (let tries = 0; await heldBytes(app) > 0; tries++) {
            claim(tries < 1000, "no body is held when all is done");
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          checkFaults();
        } finally {
          app.close();
          globalThis.Worker = Worker;
        }
      },
    ),
});
