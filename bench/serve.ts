/**
 * Puts loads on `bitwise serve`, which runs in a process of its own on loopback:
 *
 *     deno task bench:serve [MODEL] [--images N] [--rounds N] [--soak MINUTES] [--json]
 *
 * @module
 */

import { NAMES } from "./evaluate/emoji.ts";
import { digits, table } from "./measuring/measure.ts";
import { runMain } from "./run_main.ts";
import {
  type CountedLoad,
  countedLoad,
  measureOverhead,
  type Overhead,
  type Soak,
  soak,
} from "./serve/measures.ts";
import { type Cost, type Server, startServer } from "./serve/processes.ts";
import { help, parseFlags, type Spec, UsageError } from "../commands/flags/flags.ts";
import { integerFrom, on } from "../commands/flags/types.ts";
import { formatBytes } from "../engine/mod.ts";

/** Clients of the loads, places in line, and those of a line that is too short for all. */
const CLIENTS = [1, 8, 64];
const [QUEUE, SHORT] = [64, 8];
/** Clients of the soak, and requests of one of its loads. */
const [SOAKING, ROUND] = [8, 400];
const PROMPTS = NAMES.slice(0, 48);

const SPEC = {
  name: "bench:serve",
  summary: "Puts loads on the HTTP server, and compares it with generate.",
  words: "[MODEL]",
  flags: {
    "images": { type: integerFrom(1, 100_000), help: "Images of each load (480)" },
    "rounds": { type: integerFrom(1, 20), help: "Comparisons with generate (3)" },
    "soak": { type: integerFrom(1, 600), help: "Minutes of a soak at the end (none)" },
    "json": { type: on, help: "Print one JSON object" },
  },
  notes: ["MODEL is a name or a folder (emoji-nano)."],
} as const satisfies Spec;

/** What was measured. */
interface Report {
  loads: CountedLoad[];
  full?: CountedLoad;
  overhead?: Overhead;
  soak?: Soak;
}

function loadsTable(loads: readonly CountedLoad[]): string {
  return table(
    ["clients", "images/s", "p50", "p95", "mean batch", "200", "429", "lost", "unaccounted"],
    loads.map(({ clients, perSecond, p50, p95, batch, answers, lost, unaccounted }) => [
      `${clients}`,
      digits(perSecond),
      `${digits(p50)} s`,
      `${digits(p95)} s`,
      digits(batch),
      `${answers[200] ?? 0}`,
      `${answers[429] ?? 0}`,
      `${lost}`,
      `${unaccounted}`,
    ]),
  );
}

function overheadLines({ generate, serve, percent }: Overhead): string {
  const row = (name: string, costs: readonly Cost[]) => {
    const list = (key: keyof Cost) => costs.map((cost) => digits(1000 * cost[key])).join(", ");
    return [name, list("wall"), list("cpu")];
  };
  const more = (value: number) => `${value.toFixed(1)} %`;
  return table(["", "ms an image", "ms of CPU time"], [
    row("generate", generate),
    row("serve", serve),
    ["more, by the medians", more(percent.wall), more(percent.cpu)],
  ]);
}

function soakLine({ minutes, answers, lost, unaccounted, memory, percent }: Soak): string {
  const counts = Object.entries(answers).map(([status, count]) => `${count} of ${status}`);
  return `${minutes} minutes: answers ${counts.join(", ")}; ${lost} lost, ${unaccounted} ` +
    `unaccounted; memory ${formatBytes(memory.at(-1) ?? NaN)} at the end, ` +
    `${percent.toFixed(1)} % more than after warming up`;
}

/** Starts a server, measures it, and ends it whatever happens. */
async function measured(
  args: readonly string[],
  measure: (server: Server) => Promise<void>,
): Promise<void> {
  const server = await startServer(args);
  try {
    await measure(server);
  } finally {
    await server.stop();
  }
}

async function main(): Promise<number> {
  const { values: given, words: [name = "emoji-nano", ...more], help: asked } = parseFlags(
    SPEC,
    Deno.args,
  );
  if (asked) return console.log(help(SPEC).replace("bitwise bench", "deno task bench")), 0;
  if (more.length > 0) throw new UsageError(`Cannot load "${more[0]}": one model at a time`);
  const { images = 480, rounds = 3, json = false } = given;
  const tell = (text: string) => json || console.log(text);
  const model = ["-m", name];
  const report: Report = { loads: [] };
  const withServer = (queue: number, measure: (server: Server) => Promise<void>) =>
    measured([...model, "--queue", `${queue}`], measure);

  await withServer(QUEUE, async (server) => {
    const options = { url: server.url, prompts: PROMPTS, requests: images };
    await countedLoad({ ...options, clients: 16, requests: 64 }); // compiles all shaders
    for (const clients of CLIENTS) {
      report.loads.push(await countedLoad({ ...options, clients }));
    }
    tell(loadsTable(report.loads));
    // twice as many, because the first and the last batch are small
    const longer = { ...options, requests: 2 * images, clients: 64 };
    report.overhead = await measureOverhead(server, longer, model, rounds);
    tell(`\n${overheadLines(report.overhead)}`);
  });
  await withServer(SHORT, async ({ url }) => {
    report.full = await countedLoad({ url, prompts: PROMPTS, requests: images, clients: 64 });
    tell(`\nA line of ${SHORT} places\n${loadsTable([report.full])}`);
  });
  if (given.soak !== undefined) {
    await withServer(QUEUE, async (server) => {
      const options = { url: server.url, prompts: PROMPTS, requests: ROUND, clients: SOAKING };
      report.soak = await soak(server, options, given.soak!);
      tell(`\n${soakLine(report.soak)}`);
    });
  }
  if (json) console.log(JSON.stringify(report));
  const all = [...report.loads, report.full!, ...report.soak ? [report.soak] : []];
  return all.every(({ lost, unaccounted }) => lost === 0 && unaccounted === 0) ? 0 : 1;
}

await runMain(main);
