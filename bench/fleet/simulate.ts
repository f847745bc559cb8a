import { Agenda } from "./agenda.ts";
import { mean, percentile } from "../measuring/measure.ts";
import { random } from "../../tests/random.ts";

/** When a free worker begins. */
export type Rule =
  /** At once, with all that wait and can share a batch: the rule of `serve` and `worker`. */
  | { readonly name: "join" }
  /** When a batch is full, or its first job has waited so many seconds. */
  | { readonly name: "wait"; readonly seconds: number };

/** Machines, and the work that comes to them. */
export interface Fleet {
  /** Workers, each with one GPU. */
  readonly workers: number;
  /** The most images of a batch. */
  readonly batch: number;
  /** Seconds that a batch takes. */
  readonly seconds: (images: number, chance: () => number) => number;
  /** Jobs that come in a second, by chance (a Poisson process). */
  readonly rate: number;
  /** Settings that jobs have, all equally often; only jobs with equal ones share a batch. 1 if absent. */
  readonly kinds?: number;
  /** `join` if absent. */
  readonly rule?: Rule;
  /** Jobs that a worker takes out of the queue before it can begin with them; if absent, none before it is free. */
  readonly hold?: number;
  /** Jobs that the queue can carry in a second; no limit if absent. */
  readonly queueRate?: number;
  /** Files that the store can take in a second; no limit if absent. */
  readonly storeRate?: number;
  /** Jobs to simulate. The first tenth is not counted. */
  readonly jobs: number;
  /** Of the random numbers. */
  readonly seed: number;
}

/** What came of it. Latencies are from a job's arrival to its end. */
export interface Outcome {
  /** Images in a second. */
  readonly throughput: number;
  /** Seconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  /** Mean number of images in a batch. */
  readonly batch: number;
  /** Share of time that something works, from 0 to 1. */
  readonly busy: Readonly<Record<"workers" | "queue" | "store", number>>;
}

interface Job {
  readonly kind: number;
  readonly arrived: number;
  /** When it came into line. */
  lined: number;
}

/** One server with equal service times, first come, first served. */
class Server {
  #free = 0;
  #worked = 0;

  constructor(private readonly agenda: Agenda, private readonly seconds: number) {}

  serve(done: () => void): void {
    if (this.seconds === 0) return done();
    this.#free = Math.max(this.#free, this.agenda.now) + this.seconds;
    this.#worked += this.seconds;
    this.agenda.at(this.#free, done);
  }

  get worked(): number {
    return this.#worked;
  }
}

/** Jobs in line, by kind. A list is shortened when half of it is gone. */
class Line {
  readonly #lists: { jobs: Job[]; gone: number }[];

  constructor(kinds: number) {
    this.#lists = Array.from({ length: kinds }, () => ({ jobs: [], gone: 0 }));
  }

  add(job: Job): void {
    this.#lists[job.kind]!.jobs.push(job);
  }

  /** The kinds that wait, with their number and their first job. */
  *kinds(): Generator<{ kind: number; count: number; first: Job }> {
    for (const [kind, { jobs, gone }] of this.#lists.entries()) {
      if (gone < jobs.length) yield { kind, count: jobs.length - gone, first: jobs[gone]! };
    }
  }

  take(kind: number, most: number): Job[] {
    const list = this.#lists[kind]!;
    const batch = list.jobs.slice(list.gone, list.gone + most);
    list.gone += batch.length;
    if (2 * list.gone > list.jobs.length) {
      list.jobs.splice(0, list.gone);
      list.gone = 0;
    }
    return batch;
  }
}

/** Workers with a line of their own: all of them, or one. */
interface Station {
  readonly line: Line;
  /** Workers that do nothing. */
  free: number;
  /** Jobs that it took and has not ended. */
  held: number;
}

/** The kind whose first job came first, of those that the rule lets begin. */
function choose(line: Line, batch: number, rule: Rule, now: number): number | null {
  let [chosen, earliest] = [null as number | null, Infinity];
  for (const { kind, count, first } of line.kinds()) {
    const ready = rule.name === "join" || count >= batch || now >= first.lined + rule.seconds;
    if (ready && first.lined < earliest) [chosen, earliest] = [kind, first.lined];
  }
  return chosen;
}

/**
 * Lets jobs go through a fleet, event by event: into the queue, into line, through a GPU in batches, into the store, and
 * out of the queue. The same fleet has the same outcome.
 */
export function simulate(fleet: Fleet): Outcome {
  const { workers, batch: most, kinds = 1, rule = { name: "join" }, jobs } = fleet;
  const chance = random(fleet.seed);
  const agenda = new Agenda();
  // a job meets the queue twice: when it is added, and when it has ended
  const queue = new Server(agenda, 0.5 / (fleet.queueRate ?? Infinity));
  const store = new Server(agenda, 1 / (fleet.storeRate ?? Infinity));
  const { hold = Infinity } = fleet;
  const station = (free: number): Station => ({ line: new Line(kinds), free, held: 0 });
  // those that take one more job; which of them does is left to chance
  const open = hold === Infinity
    ? [station(workers)]
    : Array.from({ length: workers }, () => station(1));
  const backlog: Job[] = [];
  const skipped = Math.floor(jobs / 10);
  const latencies: number[] = [];
  let [batches, images, worked, ended] = [0, 0, 0, 0];
  let [from, to] = [0, 0];

  const end = ({ arrived }: Job) => {
    if (++ended <= skipped) from = agenda.now;
    else latencies.push((to = agenda.now) - arrived);
  };
  const begin = (at: Station) => {
    while (at.free > 0) {
      const kind = choose(at.line, most, rule, agenda.now);
      if (kind === null) return;
      const batch = at.line.take(kind, most);
      const seconds = fleet.seconds(batch.length, chance);
      at.free--;
      [batches, images, worked] = [batches + 1, images + batch.length, worked + seconds];
      agenda.at(agenda.now + seconds, () => {
        at.free++;
        if (at.held === hold) open.push(at);
        at.held -= batch.length;
        for (const job of batch) store.serve(() => queue.serve(() => end(job)));
        share();
        begin(at);
      });
    }
  };
  /** Gives jobs to those that take them. */
  const share = () => {
    while (open.length > 0 && backlog.length > 0) {
      const chosen = open.length > 1 ? Math.floor(chance() * open.length) : 0;
      const [at, job] = [open[chosen]!, backlog.shift()!];
      if (++at.held === hold) open.splice(chosen, 1);
      at.line.add(job);
      if (rule.name === "wait") agenda.at(agenda.now + rule.seconds, () => begin(at));
      begin(at);
    }
  };
  const join = (job: Job) => {
    job.lined = agenda.now;
    backlog.push(job);
    share();
  };
  const arrive = (left: number) => {
    const job = { kind: Math.floor(chance() * kinds), arrived: agenda.now, lined: 0 };
    queue.serve(() => join(job));
    if (left > 1) {
      agenda.at(agenda.now - Math.log(1 - chance()) / fleet.rate, () => arrive(left - 1));
    }
  };
  agenda.at(0, () => arrive(jobs));
  agenda.run();

  return {
    throughput: latencies.length / (to - from),
    mean: mean(latencies),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    batch: images / batches,
    busy: { workers: worked / workers / to, queue: queue.worked / to, store: store.worked / to },
  };
}
