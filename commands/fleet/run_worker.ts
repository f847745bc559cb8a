import type { FleetGiven } from "../flags/fleet_flags.ts";
import type { MakerGiven } from "../flags/maker_flags.ts";
import { openFleet } from "../io/fleet.ts";
import { detail, type Io, note, warn } from "../io/io.ts";
import { openMaker } from "../io/maker.ts";
import { aborted } from "../../engine/mod.ts";
import { shownRedis } from "../../serve/fleet/redis_url.ts";

/** The flags of `worker`. */
export type WorkerGiven = FleetGiven & MakerGiven & {
  readonly jobs?: number;
  readonly lock?: number;
};

/** The most jobs that a worker may take at once. */
const MOST_JOBS = 1024;

/** Works until it is told to end, or cannot go on. */
export async function runWorker(given: WorkerGiven, io: Io): Promise<number> {
  const { redis, store, queue } = await openFleet(given, io);
  const { FleetWorker, JOBS } = await import("../../serve/fleet/fleet_worker.ts");
  const { maker, card } = await openMaker(given, { queue: given.jobs ?? MOST_JOBS }, io);
  // so that the next batch is there when one ends
  const twice = 2 * Math.min(given.batch ?? Infinity, card.batch ?? JOBS / 2);
  const { jobs = twice, lock } = given;
  const count = { made: 0, failed: 0, cancelled: 0 };
  try {
    const worker = await FleetWorker.start(maker, store, redis, {
      queue,
      jobs,
      lock,
      onEnd(id, how, line) {
        count[how]++;
        if (how === "failed") warn(io, `${id}: ${line}`);
        else detail(io, `${id}: ${how}`);
      },
      onWarning: (line) => warn(io, line),
    });
    note(io, `Working with ${card.name} for ${shownRedis(given.redis!)}`);
    try {
      await Promise.race([worker.broken, aborted(io.signal)]);
      note(io, "Ending what runs; again to end at once");
    } finally {
      await worker.close();
    }
    const made = count.made === 1 ? "1 image was made" : `${count.made} images were made`;
    note(io, `${made}, ${count.failed} failed`);
    return 0;
  } finally {
    await maker.close();
    redis.disconnect();
  }
}
