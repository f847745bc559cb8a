// What servers answer: a hub, and a model folder on the web. Nothing is sent; `fetch` is replaced while a case runs.
import { isObject } from "../../../engine/mod.ts";
import { openFolder } from "../../../model/checkpoint/folder.ts";
import { Hub } from "../../../model/release/hub/hub.ts";
import { HUB_VARIABLES, hubSettings } from "../../../model/release/hub/hub_environment.ts";
import { edge, json, mutateText, mutateTree, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";
import { checkTensors, fileOf, header } from "./tensors.ts";

const HOST = "https://hub.invalid";
/** Where servers may redirect to. */
const CDN = "https://cdn.invalid";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** An answer of a server. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | string;
}

/** Answers requests one after another, the last one for ever, while `work` runs. Fails if `watch` did. */
export async function answering<T>(
  answers: readonly Answer[],
  watch: (request: Request) => void,
  work: () => Promise<T>,
): Promise<T> {
  const before = globalThis.fetch;
  const faults: unknown[] = []; // which the work may take for those of a network
  let i = 0;
  globalThis.fetch = (url, init) => {
    try {
      watch(new Request(url, init));
    } catch (error) {
      faults.push(error);
    }
    const { status, headers, body } = answers[Math.min(i++, answers.length - 1)]!;
    const empty = [204, 205, 304].includes(status);
    const response = new Response(empty ? null : body as BodyInit, { status });
    for (const [name, value] of headers) response.headers.append(name, value);
    return Promise.resolve(response);
  };
  const end = await work().then((value) => ({ value }), (error) => ({ error }));
  globalThis.fetch = before;
  if (faults.length) throw faults[0];
  if ("error" in end) throw end.error;
  return end.value;
}

/** Headers that matter, right or wrong. */
function headersOf(random: Random, size: number): [string, string][] {
  const number = () => random.chance(0.7) ? `${size}` : `${edge(random)}`;
  const plain = (value: string) => value.replaceAll(/[^\x20-\x7e]/g, "");
  const all: [string, string][] = [
    ["content-length", number()],
    ["accept-ranges", random.pick(["bytes", "none", "Bytes"])],
    ["content-range", `bytes ${random.below(9)}-${number()}/${number()}`],
    ["content-encoding", random.pick(["identity", "gzip", "x"])],
    [
      "location",
      random.pick([
        `${HOST}/x`,
        `${CDN}/x`,
        "/y",
        "//evil.invalid/z",
        "file:///etc/passwd",
        "http://[",
      ]),
    ],
    ["x-error-code", plain(text(random))],
    ["content-type", random.pick(["application/json", "text/html"])],
    ["link", `<${random.pick([HOST, "https://evil.invalid"])}/next>; rel="next"`],
  ];
  return all.filter(() => random.chance(0.3));
}

function statusOf(random: Random): number {
  return random.chance(0.8)
    ? 200
    : random.pick([206, 301, 302, 307, 204, 401, 403, 404, 416, 429, 500, 503]);
}

const PATHS = ["config.json", "sub/weights.bin", "x"];

/** A reply of the hub about a repository or its files. */
function reply(random: Random, right: unknown): Answer {
  const tree = random.chance(0.6)
    ? mutateTree(random, right, (random) => random.chance(0.3) ? random.pick(PATHS) : json(random))
    : right;
  const written = JSON.stringify(tree) ?? "";
  const body = random.chance(0.9) ? written : mutateText(random, written);
  return { status: statusOf(random), headers: headersOf(random, body.length), body };
}

export const hub = reader({
  make: (random) => ({
    commit: reply(random, { _id: "0", id: "a/b", sha: COMMIT, private: false, gated: false }),
    files: reply(
      random,
      PATHS.map((path, i) => ({
        type: "file",
        path,
        size: 10 + i,
        oid: COMMIT,
        ...i === 1 && { lfs: { oid: "0".repeat(64), size: 11, pointerSize: 134 } },
      })),
    ),
    file: { status: statusOf(random), headers: headersOf(random, 11), body: random.bytes(11) },
    offset: random.below(12),
  }),
  async read({ commit, files, file, offset }) {
    const hub = new Hub({ endpoint: HOST, token: "secret", patience: 500 });
    const watch = ({ url, headers }: Request) => {
      const { origin } = new URL(url);
      claim(origin === HOST || origin === CDN, `no request to ${url}`);
      const token = headers.get("authorization");
      claim(token === (origin === HOST ? "Bearer secret" : null), "the token for the hub alone");
    };
    let refusal: unknown;
    const attempt = async (answer: Answer, work: () => Promise<void>) => {
      // what a redirection leads to is right
      const next = { ...answer, status: 200, headers: [] };
      await answering([answer, next], watch, work).catch((error) => refusal = error);
    };
    await attempt(commit, async () => {
      const sha = await hub.commit("a/b");
      claim(typeof sha === "string" && /^[0-9a-f]{40}$/.test(sha), "a commit");
    });
    await attempt(files, async () => {
      for (const { path, size, digest } of await hub.files("a/b", COMMIT, PATHS)) {
        claim(PATHS.includes(path), `a path that was asked for, not ${path}`);
        claim(Number.isSafeInteger(size) && size >= 0, `a size, not ${size}`);
        claim(
          typeof digest === "string" && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(digest),
          "a digest",
        );
      }
    });
    await attempt(file, async () => {
      let next: number | undefined;
      for await (const { at, bytes } of hub.read("a/b", COMMIT, "x", offset)) {
        claim(at === (next ?? at) && (next !== undefined || at === 0 || at === offset), "in order");
        next = at + bytes.length;
      }
    });
    if (refusal !== undefined) throw refusal;
  },
});

export const folderOnWeb = reader({
  make(random) {
    const { tree, bytes } = header(random);
    const body = random.pick<() => Uint8Array>([
      () => fileOf({ header: JSON.stringify(tree), data: random.bytes(bytes) }),
      () => new TextEncoder().encode(JSON.stringify({ weight_map: { a: text(random) } })),
      () => new TextEncoder().encode(JSON.stringify(json(random)) ?? ""),
      () => new TextEncoder().encode(text(random)),
    ])();
    return {
      base: random.chance(0.9)
        ? `${HOST}/m`
        : random.pick(["http://", "file://%ff", `${HOST}?m`, text(random)]),
      name: random.chance(0.5) ? "x.safetensors" : text(random),
      answers: random.list(1, 4, (): Answer => ({
        status: statusOf(random),
        headers: headersOf(random, body.length),
        body,
      })),
      what: random.pick(["json", "tensors", "exists"] as const),
    };
  },
  usesFiles: true,
  async read({ base, name, answers, what }) {
    const watch = ({ url }: Request) => {
      const { origin, pathname } = new URL(url);
      claim(
        !base.endsWith("/m") || pathname.startsWith("/m/") && origin === HOST ||
          /^\/[xy]$/.test(pathname),
        `nothing outside the folder: ${url}`,
      );
    };
    await answering(answers, watch, async () => {
      const folder = openFolder(base);
      if (what === "json") return await folder.json(name);
      if (what === "exists") return await folder.exists(name);
      return await checkTensors(await folder.tensors(name));
    });
  },
});

export const hubEnvironment = reader({
  usesFiles: true,
  make: (random) =>
    Object.fromEntries(
      [...Object.keys(HUB_VARIABLES), "HOME", "USERPROFILE"].filter(() => random.chance(0.4)).map(
        (name) => [
          name,
          random.chance(0.5) ? text(random) : random.pick([
            "~/x",
            "$HOME/x",
            "${HOME}",
            "~user/x",
            "1",
            "0",
            "true",
            "/h",
            "%A%",
            "$HF_HOME",
          ]),
        ],
      ),
    ),
  async read(env) {
    const found = await hubSettings((name) => Object.hasOwn(env, name) ? env[name] : undefined);
    claim(isObject(found) && typeof found.cache === "string" && found.cache !== "", "a folder");
    for (const ms of [found.patience, found.answerPatience]) {
      claim(ms === undefined || Number.isSafeInteger(ms) && ms > 0, `milliseconds, not ${ms}`);
    }
    new Hub(found);
  },
});
