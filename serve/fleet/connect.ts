import { Redis } from "../../deps/bullmq.ts";
import { BitwiseError, printableMessage } from "../../engine/mod.ts";
import { shownRedis } from "./redis_url.ts";

/** The most milliseconds between two tries to reach Redis. */
const LONGEST_PAUSE = 2000;

/** Milliseconds for which a Redis that may be away is told of what ends. */
export const LAST_WORDS = 3000;

/** What happens to a connection. */
export interface ConnectOptions {
  /** Ends the wait for Redis. */
  readonly signal?: AbortSignal;
  /** Called with a line when Redis cannot be reached, and when it is back. */
  readonly onChange?: (line: string) => void;
}

/**
 * Connects to Redis, and waits for it as long as it takes; commands wait too whenever it is away.
 *
 * @param url `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` for TLS.
 * @throws {InputError} `bad-redis`: it is not such a URL.
 * @throws {BitwiseError} `redis-refused`: the user or password is wrong; `no-permission`.
 * @throws The reason of the signal.
 */
export async function connect(
  url: string,
  { signal, onChange }: ConnectOptions = {},
): Promise<Redis> {
  const place = shownRedis(url);
  signal?.throwIfAborted();
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    retryStrategy: (tries) => Math.min(LONGEST_PAUSE, 50 * 2 ** tries),
  });
  let away = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  redis.on("error", (error) => {
    const fatal = refusal(place, error);
    if (fatal) return reject(fatal);
    if (!away) onChange?.(`Waiting for Redis at ${place}: ${reasonOf(error)}`);
    away = true;
  });
  redis.on("ready", () => {
    if (away) onChange?.(`Redis at ${place} is back`);
    away = false;
    resolve();
  });
  const stop = () => reject(signal?.reason);
  signal?.addEventListener("abort", stop);
  try {
    await promise;
    return redis;
  } catch (error) {
    redis.disconnect();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The error for what waiting cannot change. */
function refusal(place: string, error: Error): BitwiseError | undefined {
  if (error.name === "NotCapable") {
    const message = `Cannot reach Redis at ${place}: Deno was not allowed to`;
    return new BitwiseError("no-permission", message, { cause: error, hint: "allow-net" });
  }
  if (!/^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid DB)/.test(error.message)) return undefined;
  return new BitwiseError(
    "redis-refused",
    `Cannot use Redis at ${place}: it replied ${error.message}; check the URL`,
  );
}

/** What the codes of the system say. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection is refused",
  ENOTFOUND: "there is no such host",
  ETIMEDOUT: "it does not answer",
};

function reasonOf({ message }: Error): string {
  const code = Object.keys(REASONS).find((code) => message.includes(code));
  return code ? REASONS[code]! : printableMessage(message);
}
