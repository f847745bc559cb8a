import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { FLEET_FLAGS } from "./flags/fleet_flags.ts";
import { MAKER_FLAGS } from "./flags/maker_flags.ts";
import { integerFrom } from "./flags/types.ts";

/** `bitwise worker`: makes the images of a queue. */
export const worker = command(
  {
    name: "worker",
    summary: "Takes jobs from a queue on Redis, and keeps their images in a folder or in S3.",
    words: "",
    flags: {
      ...FLEET_FLAGS,
      ...MAKER_FLAGS,
      "jobs": {
        type: integerFrom(1, 1024),
        help: "Jobs taken at once (twice a batch)",
      },
      "lock": {
        type: integerFrom(1, 3600),
        help: "Seconds after which the jobs of a dead worker return to the queue (30)",
      },
    },
    notes: [
      "SIGTERM and Ctrl-C let it finish what runs; a second one ends it at once.",
      "Example: bitwise worker --redis redis://10.0.0.5:6379 --results s3://pictures/made",
    ],
  },
  async (given, _words, io) => {
    if (given.redis === undefined) throw new UsageError("Cannot work: name the --redis of a queue");
    const { runWorker } = await import("./fleet/run_worker.ts");
    return await runWorker(given, io);
  },
);
