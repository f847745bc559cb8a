/**
 * Simulates fleets of 1 to 1,000 GPUs that take jobs from one queue:
 *
 *     deno task fleet [--card NAME] [--load N] [--price N] [--svg FILE] [--json]
 *     deno task fleet --measure FILE.json
 *
 * @module
 */

import { type Carried, measureCarried } from "./fleet/measure_queue.ts";
import { CARDS, findCard } from "./fleet/service.ts";
import * as show from "./fleet/tables.ts";
import carried from "./results/fleet.json" with { type: "json" };
import { runMain } from "./run_main.ts";
import { help, parseFlags, type Spec, UsageError } from "../commands/flags/flags.ts";
import { integerFrom, number, on, path } from "../commands/flags/types.ts";
import { writeFileAtomic } from "../model/checkpoint/files.ts";

const NAMES = Object.keys(CARDS);
const SPEC = {
  name: "fleet",
  summary: "Simulates 1 to 1,000 GPUs that take jobs from one queue, in batches of 1 to 16.",
  words: "",
  flags: {
    "card": { type: { ...path, value: "NAME" }, help: `One of ${NAMES.join(", ")} (${NAMES[0]})` },
    "load": { type: number, help: "Share of what the GPUs can do that comes in (0.8)" },
    "price": { type: number, help: "Dollars of a GPU in an hour (3.5, or 0.1 of two cores)" },
    "queue-rate": { type: number, help: "Jobs that Redis carries in a second (as measured)" },
    "store-rate": {
      type: number,
      help: "Images that the store takes in a second (a folder, as measured)",
    },
    "seed": { type: integerFrom(0, 2 ** 32 - 1), help: "Of the random numbers (1)" },
    "measure": { type: path, help: "Measure Redis and a folder here instead, and save that" },
    "svg": { type: path, help: "Write the charts to a file" },
    "json": { type: on, help: "Print one JSON object" },
  },
} as const satisfies Spec;

/** Refuses what is not above 0. */
function positive(flag: string, value: number): number {
  if (value > 0) return value;
  throw new UsageError(`Cannot use ${value} as --${flag}: it must be above 0`);
}

/** Images that a folder takes in a second: for each, a worker puts a file of so many bytes, and a small one of bits. */
function folderRate(bytes: number): number {
  const seconds = [bytes, 0].map((least) =>
    1 / carried.folder.find((row) => row.bytes >= least)!.files
  );
  return 1 / (seconds[0]! + seconds[1]!);
}

async function measure(file: string, json: boolean): Promise<number> {
  const measured: Carried = await measureCarried();
  await writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(measured, null, 2)}\n`));
  console.log(json ? JSON.stringify(measured) : show.carriedLine(measured));
  return 0;
}

async function main(): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, Deno.args);
  if (asked) return console.log(help(SPEC).replace("bitwise fleet", "deno task fleet")), 0;
  if (words.length > 0) throw new UsageError(`Cannot simulate "${words[0]}": it takes flags only`);
  const { json = false } = given;
  if (given.measure !== undefined) return await measure(given.measure, json);
  const card = findCard(given.card ?? NAMES[0]!);
  const question: show.Question = {
    card,
    load: positive("load", given.load ?? 0.8),
    price: positive("price", given.price ?? card.price),
    queueRate: positive("queue-rate", given["queue-rate"] ?? 1e6 / carried.redisMicroseconds),
    storeRate: positive("store-rate", given["store-rate"] ?? folderRate(card.bytes)),
    seed: given.seed ?? 1,
  };
  const sizes = [...show.simulateSizes(question)];
  const holding = [...show.simulateHolding(question)];
  const rules = [...show.simulateRules(question)];
  if (given.svg !== undefined) {
    const svg = show.fleetCharts(question, sizes, rules);
    await writeFileAtomic(given.svg, new TextEncoder().encode(svg));
  }
  if (json) return console.log(JSON.stringify({ ...question, sizes, rules, holding })), 0;
  console.log(`${card.title}\nTimes: ${card.source}`);
  console.log(`Measured: ${show.carriedLine(carried)}`);
  console.log(`\nWhere growth ends, by division\n${show.limitsTable(question)}`);
  console.log(`\nAt ${100 * question.load} % of what the GPUs can do\n${show.sizesTable(sizes)}`);
  console.log(`\nRules of batches, 16 workers, batches to 8\n${show.rulesTable(rules)}`);
  console.log(`\nJobs taken early, 16 workers, batches of one\n${show.holdTable(holding)}`);
  return 0;
}

await runMain(main);
