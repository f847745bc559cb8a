import type { Redis } from "../../deps/bullmq.ts";
import { UsageError } from "../flags/flags.ts";
import { type FleetGiven, RESULTS } from "../flags/fleet_flags.ts";
import { type Io, note } from "./io.ts";
import type { ReadyMaker } from "./maker.ts";
import type { Maker } from "../../serve/jobs/job.ts";
import type { RemoteMakerOptions } from "../../serve/fleet/remote_maker.ts";
import type { Store } from "../../serve/stores/store.ts";
import { orAbort } from "../../engine/mod.ts";

/** A queue on Redis, and the store that goes with it. */
export interface OpenFleet {
  readonly redis: Redis;
  readonly store: Store;
  /** The name of the queue, if one is given. */
  readonly queue?: string;
}

/** Flags that say what a worker decides. */
export const OF_WORKERS = ["lora", "type", "gpu", "max-vram", "batch"] as const;

/** Refuses flags that workers have of their own. @throws {UsageError} */
export function refuseLocal<N extends string>(
  given: { readonly [name in N]?: unknown },
  names: readonly N[],
): void {
  const alone = names.find((name) => given[name] !== undefined);
  if (alone === undefined) return;
  throw new UsageError(`Cannot use --${alone} and --redis together: workers have their own`);
}

/** Connects to the Redis of a queue; waits for it as long as it takes, and says so. @throws {UsageError} */
export async function openFleet(given: FleetGiven, io: Io): Promise<OpenFleet> {
  const { redis: url, "redis-queue": queue, results = RESULTS } = given;
  if (url === undefined) throw new UsageError("Cannot work without a queue: name its --redis URL");
  // before the library of the queue is loaded
  const { shownRedis } = await import("../../serve/fleet/redis_url.ts");
  shownRedis(url);
  const { openStore } = await import("../../serve/stores/open_store.ts");
  const store = openStore(results);
  const { connect } = await import("../../serve/fleet/connect.ts");
  const redis = await connect(url, { signal: io.signal, onChange: (line) => note(io, line) });
  return { redis, store, queue };
}

/** Opens a maker that has the workers of a queue make the images, of whom there may be none yet. It ends its connection. */
export async function startRemoteMaker(
  given: FleetGiven,
  options: Pick<RemoteMakerOptions, "limit" | "events">,
  io: Io,
): Promise<{ readonly maker: Maker; readonly store: Store }> {
  const { redis, store, queue } = await openFleet(given, io);
  const { RemoteMaker } = await import("../../serve/fleet/remote_maker.ts");
  return { maker: new RemoteMaker(redis, store, { queue, ...options }), store };
}

/** The same, and waits for the first of them. */
export async function openRemoteMaker(
  given: FleetGiven,
  limit: number,
  io: Io,
): Promise<ReadyMaker> {
  const { maker } = await startRemoteMaker(given, { limit }, io);
  const waiting = setTimeout(() => note(io, "Waiting for a worker"), 1000);
  try {
    return { maker, card: await orAbort(io.signal, maker.card) };
  } catch (error) {
    await maker.close("at once");
    throw error;
  } finally {
    clearTimeout(waiting);
  }
}
