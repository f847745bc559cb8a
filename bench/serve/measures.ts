import { type Counters, readCounters } from "./counters.ts";
import { type Load, load, type LoadOptions } from "./load.ts";
import { type Cost, generate, type Server } from "./processes.ts";
import { median } from "../measuring/measure.ts";

/** A load, and what the server counted meanwhile. */
export interface CountedLoad extends Load {
  /** Mean images of a batch. */
  readonly batch: number;
  /** Images that the server made, less answers with an image: 0 if none was lost. */
  readonly unaccounted: number;
}

/** Puts a load on a server, and compares answers with its counters. */
export async function countedLoad(options: LoadOptions): Promise<CountedLoad> {
  const before = await readCounters(options.url);
  const result = await load(options);
  const after = await readCounters(options.url);
  const during = (key: keyof Counters) => after[key] - before[key];
  return {
    ...result,
    batch: during("batched") / during("batches"),
    unaccounted: during("made") - (result.answers[200] ?? 0),
  };
}

/** What an image costs `generate` and the server, in seconds, of each round. */
export interface Overhead {
  readonly generate: readonly Cost[];
  readonly serve: readonly Cost[];
  /** How much more the server takes, in percent, by the medians; negative if it takes less. */
  readonly percent: Cost;
}

/**
 * Lets `generate` and the server make the same number of images by turns. What `generate` needs to start and to load is
 * not counted: the cost of a few images is taken off that of many. On a machine that others use, CPU time says more than
 * the clock, if its GPU is its CPU.
 */
export async function measureOverhead(
  server: Server,
  options: LoadOptions,
  model: readonly string[],
  rounds: number,
): Promise<Overhead> {
  const { prompts, requests, clients: few } = options;
  const list = (count: number) =>
    Array.from({ length: count }, (_, i) => prompts[i % prompts.length]!);
  const [generated, served]: [Cost[], Cost[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const short = await generate(model, list(few));
    const long = await generate(model, list(few + requests));
    const each = (key: keyof Cost) => (long[key] - short[key]) / requests;
    generated.push({ wall: each("wall"), cpu: each("cpu") });
    const before = await server.cpu();
    const { perSecond } = await load(options);
    served.push({ wall: 1 / perSecond, cpu: (await server.cpu() - before) / requests });
  }
  const more = (key: keyof Cost) => {
    const middle = (costs: readonly Cost[]) => median(costs.map((cost) => cost[key]));
    return 100 * (middle(served) / middle(generated) - 1);
  };
  return { generate: generated, serve: served, percent: { wall: more("wall"), cpu: more("cpu") } };
}

/** What a server's memory did. */
export interface Soak {
  readonly minutes: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly unaccounted: number;
  /** Bytes, about once in a second. */
  readonly memory: readonly number[];
  /** Growth in percent, see {@link growth}. */
  readonly percent: number;
}

/**
 * How much larger the last fifth of the samples is than the second, by their medians, in percent. The first fifth warms
 * up.
 */
export function growth(samples: readonly number[]): number {
  const fifth = Math.max(1, Math.floor(samples.length / 5));
  const early = median(samples.slice(fifth, 2 * fifth));
  return 100 * (median(samples.slice(-fifth)) / early - 1);
}

/** Puts loads on a server, one after another, for some minutes, and watches its memory. */
export async function soak(server: Server, options: LoadOptions, minutes: number): Promise<Soak> {
  const memory: number[] = [];
  const timer = setInterval(() => server.memory().then((bytes) => memory.push(bytes)), 1000);
  const answers: Record<string, number> = {};
  let [lost, unaccounted] = [0, 0];
  try {
    for (const end = performance.now() + 60_000 * minutes; performance.now() < end;) {
      const result = await countedLoad(options);
      for (const [status, count] of Object.entries(result.answers)) {
        answers[status] = (answers[status] ?? 0) + count;
      }
      [lost, unaccounted] = [lost + result.lost, unaccounted + result.unaccounted];
    }
  } finally {
    clearInterval(timer);
  }
  return { minutes, answers, lost, unaccounted, memory, percent: growth(memory) };
}
