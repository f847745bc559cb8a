// What comes from a queue, from lists of prompts and results, and from stores; and how places of these are written.
import { BitwiseError } from "../../../engine/mod.ts";
import { encodePng } from "../../../model/image/png.ts";
import { readWish } from "../../../serve/batch/wanted.ts";
import { ResultsFile } from "../../../serve/batch/results_file.ts";
import { parseCard } from "../../../serve/fleet/card.ts";
import { scaleOf } from "../../../serve/fleet/previews.ts";
import { failureOf, readOutcome, readQueued } from "../../../serve/fleet/protocol.ts";
import { shownRedis } from "../../../serve/fleet/redis_url.ts";
import { isName } from "../../../serve/stores/names.ts";
import { openStore } from "../../../serve/stores/open_store.ts";
import { readS3Place } from "../../../serve/stores/s3_place.ts";
import { S3Store } from "../../../serve/stores/s3_store.ts";
import { CARD } from "../../serve/http/fake_maker.ts";
import { inFolder } from "../in_folder.ts";
import { json, mutateBytes, mutateText, mutateTree, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, errorFault, reader, textFault } from "../reader.ts";
import { type Answer, answering } from "./web.ts";

const JOB = {
  job: { id: "a-1", prompt: "red apple", seed: "7", settings: { tau: 0.5, width: 32, height: 32 } },
  reporting: "scales",
  cancelled: false,
};

export const queued = reader({
  make: (random) => mutateTree(random, JOB),
  read(input) {
    const { job: { id, prompt, seed, settings }, reporting, cancelled } = readQueued(input);
    claim(isName(`${id}.safetensors`), "a name of files");
    claim(typeof prompt === "string" && /^\d+$/.test(seed), "a prompt and a seed");
    claim(typeof settings === "object" && settings !== null, "settings");
    claim(["nothing", "scales", "previews"].includes(reporting), "what is reported");
    claim(typeof cancelled === "boolean", "whether it is cancelled");
  },
});

export const cards = reader({
  make: (random) => {
    const written = JSON.stringify(random.chance(0.9) ? mutateTree(random, CARD) : CARD) ?? "";
    return random.chance(0.9) ? written : mutateText(random, written);
  },
  read(written) {
    const { name, sizes, defaults, edits } = parseCard(written, "bitwise");
    claim(typeof name === "string" && typeof edits === "boolean", "a name, and whether it edits");
    for (const { width, height, schedule } of sizes) {
      claim([width, height, ...schedule.flat()].every((n) => n > 0), "sizes and token grids");
    }
    claim(Number.isFinite([defaults.tau].flat().reduce((a, b) => a + b, 0)), "temperatures");
  },
});

const PREVIEW = encodePng(new Uint8Array(4 * 6).fill(9), 3, 2);

export const reports = reader({
  make: (random) => ({
    failure: mutateText(random, "InputError (bad-value): Cannot use tau 0: it must be above 0"),
    outcome: mutateTree(random, { warnings: ["a"], seconds: 1.5, batch: 2 }),
    report: mutateTree(random, { scale: 1, scales: 4 }),
    preview: (random.chance(0.5) ? PREVIEW : mutateBytes(random, PREVIEW)).toBase64(),
  }),
  async read({ failure, outcome, report, preview }) {
    const error = failureOf(failure);
    claim(error instanceof Error && errorFault(error) === null, `an error, not ${failure}`);
    for (const read of [() => readOutcome(outcome), () => scaleOf(Object(report))]) {
      try {
        const result = await read();
        if ("scale" in result) claim(result.scale < result.scales, "a scale of all");
        else claim("cancelled" in result || Number.isFinite(result.seconds), "an outcome");
      } catch (error) {
        if (!(error instanceof BitwiseError)) throw error;
      }
    }
    const { image } = await scaleOf({ scale: 0, scales: 4, preview });
    claim(image!.rgba.length === 4 * image!.width * image!.height, "a byte per channel");
  },
});

const LINE = {
  ...{ prompt: "red apple", id: "one", seed: 7, n: 3, negative_prompt: "blue", width: 32 },
  ...{ cfg_scale: [1, 2], tau: 0.5, top_k: 2, top_p: 0.9, greedy: false, strength: 0.5 },
  ...{ height: 32, init_img: "in.png", mask: "mask.png", keep_scales: null },
};
const LINES: readonly ((random: Random) => string)[] = [
  (random) => JSON.stringify(mutateTree(random, LINE)) ?? "",
  (random) => mutateText(random, JSON.stringify({ ...LINE, id: random.pick(["one", "ONE", "b"]) })),
  (random) => JSON.stringify({ prompt: text(random), n: random.below(50) }),
  (random) => JSON.stringify(json(random)) ?? "",
  (random) => text(random),
];

export const batchLines = reader({
  make: (random) => random.list(0, 6, () => random.pick(LINES)(random)).join("\n"),
  async read(written) {
    const digest = (path: string) => Promise.resolve(`of ${path}`);
    const wish = await readWish(written, { seed: 2n ** 64n - 2n, defaults: { tau: 1 }, digest });
    const ids = new Set(wish.images.map(({ id }) => id.toLowerCase()));
    claim(ids.size === wish.images.length, "a name for each image");
    for (const { id, key, prompt, seed, settings } of wish.images) {
      claim(isName(`${id}.safetensors`) && /^[\w-]+$/.test(id), `a name of files, not ${id}`);
      claim(/^[0-9a-f]{12}$/.test(key) && prompt.trim() !== "", "a key and a prompt");
      claim(/^\d+$/.test(seed) && BigInt(seed) < 2n ** 64n, "a seed of 64 bits");
      readQueued({ job: JSON.parse(JSON.stringify({ id, prompt, seed, settings })) });
    }
    for (const { why } of wish.broken) claim(textFault(why) === null, `a reason, not ${why}`);
  },
});

const ROW = { id: "a", file: "a.png", prompt: "red apple", seed: "7", seconds: 1.5, key: "0" };

export const batchResults = reader({
  usesFiles: true,
  make: (random) =>
    random.list(0, 4, () => {
      const line = JSON.stringify(random.chance(0.5) ? mutateTree(random, ROW) : ROW) ?? "";
      return random.chance(0.9) ? line : mutateText(random, line);
    }).join("\n") + random.pick(["\n", "", "{"]),
  read: (written) =>
    inFolder([["results.jsonl", written]], async (folder) => {
      const results = await ResultsFile.open(folder);
      for (const { file } of results.known.values()) {
        claim(isName(file), `a file in the folder, not ${file}`);
      }
      await results.mend(new Set());
      const again = await ResultsFile.open(folder);
      claim(again.known.size === results.known.size, "as many results after they were mended");
      const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      claim(names.join() === "results.jsonl", `no other file than ${names}`);
    }),
});

const SECRET = "hunter2";
const PLACES = [
  "s3://pictures/made?endpoint=https://s3.example.org:9000/x&region=eu-west-1",
  `s3://user:${SECRET}@pictures/made`,
  `s3://pictures/made?endpoint=https://user:${SECRET}@s3.example.org`,
  `redis://user:${SECRET}@127.0.0.1:6379/3`,
  `rediss://:${SECRET}@[::1]:6379`,
];

export const places = reader({
  make: (random) => {
    const right = random.pick(PLACES);
    // the secret stays whole, so that it is known again
    const parts = right.split(SECRET).map((part) =>
      random.chance(0.5) ? part : mutateText(random, part)
    );
    return parts.join(SECRET);
  },
  read(written) {
    const env = (name: string) => name === "AWS_REGION" ? undefined : SECRET;
    // after the last @ it is the name of a host, say
    const known = written.lastIndexOf(SECRET) < written.lastIndexOf("@");
    const hides = (shown: string) =>
      claim(!known || !shown.includes(SECRET), `no secret in ${shown}`);
    const check = (read: () => void) => {
      try {
        read();
      } catch (error) {
        if (!(error instanceof BitwiseError)) throw error;
        hides(error.message);
      }
    };
    check(() => {
      const place = shownRedis(written);
      hides(place);
      claim(/^rediss?:\/\/[^/]/.test(place), `a place, not ${place}`);
    });
    check(() => {
      const { address, prefix } = readS3Place(written, env);
      claim(/^https?:\/\/[^/?#@]+\/[^?#]+$/.test(address), `an address, not ${address}`);
      claim(/^([\w.-]+\/)*$/.test(prefix), `a prefix, not ${prefix}`);
    });
    check(() => openStore(written));
  },
});

const PLACE = {
  ...{ address: "https://s3.invalid/pictures", prefix: "made/", region: "eu-west-1" },
  ...{ accessKeyId: "key", secretAccessKey: SECRET },
};

export const s3 = reader({
  make: (random) => ({
    name: random.chance(0.7) ? "a.png" : text(random),
    verb: random.pick(["get", "put", "has"] as const),
    answers: random.list(1, 4, (): Answer => ({
      status: random.pick([200, 204, 206, 301, 307, 400, 403, 404, 411, 429, 500, 503]),
      headers: random.chance(0.5) ? [] : [["location", "https://evil.invalid/x"]],
      body: random.pick<() => string>([
        () => mutateText(random, "<Error><Code>AccessDenied</Code></Error>"),
        () => `<Code>${text(random)}</Code>`,
        () => text(random),
      ])(),
    })),
  }),
  async read({ name, verb, answers }) {
    const store = new S3Store(PLACE, { timeout: 500, pause: 0 });
    const watch = ({ url }: Request) => {
      claim(/^https:\/\/s3\.invalid\/pictures\/made\/[\w-][\w.-]*$/.test(url), `not ${url}`);
    };
    await answering(answers, watch, async () => {
      if (verb === "put") await store.put(name, new Uint8Array(3), "image/png");
      else if (verb === "has") await store.has(name);
      else {
        const bytes = await store.get(name);
        claim(bytes === null || bytes instanceof Uint8Array, "bytes");
      }
    });
  },
});
