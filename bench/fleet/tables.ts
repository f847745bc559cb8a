import { mostWorkers, waitMD1, waitMDc } from "./formulas.ts";
import type { Carried } from "./measure_queue.ts";
import { type Card, secondsOf } from "./service.ts";
import { type Fleet, type Outcome, type Rule, simulate } from "./simulate.ts";
import { digits, table } from "../measuring/measure.ts";
import { formatBytes } from "../../engine/mod.ts";
import { type Chart, image, lines, type Series } from "../../model/charts/svg.ts";

/** Workers and batches that are simulated. */
const WORKERS = [1, 4, 16, 64, 250, 1000];
const BATCHES = [1, 2, 4, 8, 16];
/** Fewest jobs of a simulation, and jobs for each image that the fleet holds at once. */
const [JOBS, TURNS] = [20_000, 12];
/** Workers and images of a batch in the comparison of rules, and seconds that a batch waits, in batches of one. */
const [SOME, FULL, PATIENCE] = [16, 8, 2];

/** What is asked of a simulation. */
export interface Question {
  readonly card: Card;
  /** Share of what the GPUs can do that comes in, above 0. */
  readonly load: number;
  /** Dollars of a worker in an hour. */
  readonly price: number;
  /** Jobs that the queue carries in a second, and images that the store takes. */
  readonly queueRate: number;
  readonly storeRate: number;
  readonly seed: number;
}

/** A fleet of a size, and what came of it. */
export interface Row extends Outcome {
  readonly workers: number;
  /** The most images of a batch. */
  readonly most: number;
  /** Jobs that come in a second. */
  readonly offered: number;
  /** Mean seconds to the end by formula, for batches of one in a fleet that keeps up; else null. */
  readonly paper: number | null;
  /** Dollars for 1000 images. */
  readonly cost: number;
  /** What works most of the time in a fleet that does not keep up, or nothing. */
  readonly broken: string;
}

/** A rule at a load. */
export interface RuleRow extends Outcome {
  readonly rule: string;
  readonly kinds: number;
  /** Share of what full batches can do that comes in. */
  readonly load: number;
}

/** Jobs that workers take at once. */
export interface HoldRow extends Outcome {
  readonly hold: number;
}

/** The jobs of a simulation that is long enough for its size. */
function jobsFor(workers: number, batch: number): number {
  return Math.max(JOBS, TURNS * workers * batch);
}

/** Mean seconds from arrival to end, in batches of one: what comes out of one part comes into the next by chance. */
function meanOnPaper(question: Question, workers: number, rate: number): number {
  const { card, queueRate, storeRate } = question;
  const one = secondsOf(card, 1);
  const passing = [queueRate, storeRate].map((limit) => 1 / limit + waitMD1(rate, 1 / limit));
  return one + waitMDc(workers, rate, one) + passing[0]! + passing[1]!;
}

/** Simulates fleets of all sizes and batches. */
export function* simulateSizes(question: Question): Generator<Row> {
  const { card, load, price, queueRate, storeRate, seed } = question;
  for (const workers of WORKERS) {
    for (const most of BATCHES) {
      const rate = load * workers * most / secondsOf(card, most);
      const jobs = jobsFor(workers, most);
      const seconds = (images: number) => secondsOf(card, images);
      const fleet: Fleet = {
        workers,
        batch: most,
        seconds,
        rate,
        queueRate,
        storeRate,
        jobs,
        seed,
      };
      const outcome = simulate(fleet);
      const held = load >= 1 || rate >= Math.min(queueRate, storeRate);
      const [what] = Object.entries(outcome.busy).sort(([, a], [, b]) => b - a)[0]!;
      yield {
        ...outcome,
        workers,
        most,
        offered: rate,
        paper: most > 1 || held ? null : meanOnPaper(question, workers, rate),
        cost: 1000 * price * workers / 3600 / outcome.throughput,
        broken: held ? what : "",
      };
    }
  }
}

/** Simulates what waiting for full batches, and jobs of several settings, cost. */
export function* simulateRules({ card, seed }: Question): Generator<RuleRow> {
  const patience = PATIENCE * secondsOf(card, 1);
  const rules: readonly (readonly [string, Rule])[] = [
    ["join at the next free start", { name: "join" }],
    ["wait for a full batch", { name: "wait", seconds: patience }],
  ];
  for (const kinds of [1, 16]) {
    for (const [rule, how] of rules) {
      for (const load of [0.1, 0.3, 0.5, 0.7, 0.9]) {
        const outcome = simulate({
          workers: SOME,
          batch: FULL,
          seconds: (images) => secondsOf(card, images),
          rate: load * SOME * FULL / secondsOf(card, FULL),
          kinds,
          rule: how,
          jobs: jobsFor(SOME, FULL),
          seed,
        });
        yield { ...outcome, rule, kinds, load };
      }
    }
  }
}

/** Simulates workers that take jobs before they can begin with them, in batches of one. */
export function* simulateHolding({ card, load, seed }: Question): Generator<HoldRow> {
  for (const hold of [1, 2, 4, 16]) {
    const outcome = simulate({
      workers: SOME,
      batch: 1,
      seconds: (images) => secondsOf(card, images),
      rate: load * SOME / secondsOf(card, 1),
      hold,
      jobs: JOBS,
      seed,
    });
    yield { ...outcome, hold };
  }
}

/** Seconds with three digits. */
function time(seconds: number): string {
  return `${digits(seconds)} s`;
}

/** The table of sizes. */
export function sizesTable(rows: readonly Row[]): string {
  return table(
    ["workers", "batch", "asked/s", "made/s", "mean batch", "p50", "p99", "mean", "on paper"]
      .concat("$/1000", "limit"),
    rows.map((row) => [
      `${row.workers}`,
      `${row.most}`,
      digits(row.offered),
      digits(row.throughput),
      digits(row.batch),
      time(row.p50),
      time(row.p99),
      time(row.mean),
      row.paper === null ? "" : time(row.paper),
      digits(row.cost),
      row.broken,
    ]),
  );
}

/** The table of rules. */
export function rulesTable(rows: readonly RuleRow[]): string {
  return table(
    ["load", "settings", "rule", "mean batch", "p50", "p99"],
    rows.map(({ load, kinds, rule, batch, p50, p99 }) => [
      `${load}`,
      `${kinds}`,
      rule,
      digits(batch),
      time(p50),
      time(p99),
    ]),
  );
}

/** The table of what taking jobs early costs. */
export function holdTable(rows: readonly HoldRow[]): string {
  const cells = rows.map(({ hold, p50, p99 }) => [`${hold}`, time(p50), time(p99)]);
  return table(["jobs taken at once", "p50", "p99"], cells);
}

/** The table of what stops a fleet from growing, by division alone. */
export function limitsTable({ card, queueRate, storeRate }: Question): string {
  return table(
    [
      "batch",
      "seconds",
      "images/s of a worker",
      "workers that the queue feeds",
      "that the store holds",
    ],
    BATCHES.map((batch) => {
      const seconds = secondsOf(card, batch);
      const workers = (limit: number) => `${mostWorkers(limit, batch, seconds)}`;
      const cells = [digits(seconds), digits(batch / seconds)];
      return [`${batch}`, ...cells, workers(queueRate), workers(storeRate)];
    }),
  );
}

/** One line on what the queue and the store of a machine carry. */
export function carriedLine(carried: Carried): string {
  const { redisMicroseconds, commands, added, finished, folder } = carried;
  const files = folder.map(({ files, bytes }) =>
    `${digits(files)} files/s of ${formatBytes(bytes)}`
  );
  return `Redis needs ${digits(redisMicroseconds)} µs and ${
    digits(commands)
  } commands for a job, ` +
    `so it carries ${digits(1e6 / redisMicroseconds)} jobs/s; one process adds ${digits(added)} ` +
    `and finishes ${digits(finished)} jobs/s; a folder takes ${files.join(", ")}`;
}

function series<T>(
  rows: readonly T[],
  name: (row: T) => string,
  x: (row: T) => number,
  y: (row: T) => number,
) {
  const groups = Map.groupBy(rows, name);
  return [...groups].map(([name, rows]): Series => ({
    name,
    points: rows.map((row) => ({ x: x(row), y: y(row), planned: false })),
  }));
}

/** The charts of both as one SVG. */
export function fleetCharts(
  { card }: Question,
  sizes: readonly Row[],
  rules: readonly RuleRow[],
): string {
  const batch = (row: Row) => `batches to ${row.most}`;
  const rule = (row: RuleRow) =>
    `${row.rule.split(" ")[0]}, ${row.kinds === 1 ? "equal settings" : `${row.kinds} settings`}`;
  const charts: Chart[] = [
    lines(
      "Images made in a second",
      { x: "workers", y: "images/s" },
      series(sizes, batch, (row) => row.workers, (row) => row.throughput),
    ),
    lines(
      "Latency of the slowest 1 %",
      { x: "workers", y: "s" },
      series(sizes, batch, (row) => row.workers, (row) => row.p99),
    ),
    lines(
      `The same by rule: ${SOME} workers, batches to ${FULL}`,
      { x: "share of what full batches can do", y: "s", scales: ["linear", "logarithmic"] },
      series(rules, rule, (row) => row.load, (row) => row.p99),
    ),
  ];
  return image(`${card.title} (simulated)`, charts);
}
