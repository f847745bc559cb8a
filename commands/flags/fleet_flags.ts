import { type FlagType, path, text } from "./types.ts";
import type { Values } from "./flags.ts";
import { QUEUE } from "../../serve/fleet/protocol.ts";

/** The name of a queue. */
const queue: FlagType<string> = {
  value: "NAME",
  need: "1 to 60 letters, digits, - or _",
  read: (given) => /^[\w-]{1,60}$/.test(given) ? given : undefined,
};

/** The flags of commands that give work to other machines, or take it. */
export const FLEET_FLAGS = {
  "redis": {
    type: { ...text, value: "URL" },
    help: "Redis of the queue: redis://HOST:PORT, rediss:// for TLS",
  },
  "redis-queue": { type: queue, help: `Name of the queue (${QUEUE})` },
  "results": {
    type: { ...path, value: "STORE" },
    help: "Where workers keep images: a folder, or s3://BUCKET/PREFIX?endpoint=URL (results)",
  },
} as const;

/** The values that were given for {@link FLEET_FLAGS}. */
export type FleetGiven = Values<typeof FLEET_FLAGS>;

/** The store of workers, if no other is given. */
export const RESULTS = "results";
