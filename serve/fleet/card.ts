import type { Redis } from "../../deps/bullmq.ts";
import { InputError, quote } from "../../engine/mod.ts";
import type { ModelCard } from "../jobs/job.ts";
import { cardKey } from "./protocol.ts";

/** Seconds that a card outlives its worker. */
const LIFE = 60;

/**
 * Publishes what the workers of a queue can do, and again until the result is called.
 *
 * @throws {InputError} `other-model`: another worker of the queue has another model, so that images would differ.
 */
export async function publishCard(
  redis: Redis,
  queue: string,
  card: ModelCard,
): Promise<() => void> {
  const known = await readCard(redis, queue);
  const [theirs, ours] = [known ?? card, card].map(({ name, type }) => `${name} as ${type}`);
  const other = theirs === ours ? "other weights or LoRAs" : theirs;
  if (known && (theirs !== ours || known.digest !== card.digest)) {
    throw new InputError(
      "other-model",
      `Cannot work on the queue ${quote(queue)} with ${ours}: another worker has ${other}; use ` +
        "the same model, or a queue of its own",
    );
  }
  const publish = () => redis.set(cardKey(queue), JSON.stringify(card), "EX", LIFE);
  await publish();
  const timer = setInterval(() => publish().catch(() => {}), LIFE * 1000 / 3);
  return () => clearInterval(timer);
}

/** Returns what the workers of a queue can do; null if there is none. */
export async function readCard(redis: Redis, queue: string): Promise<ModelCard | null> {
  const text = await redis.get(cardKey(queue));
  return text === null ? null : JSON.parse(text) as ModelCard;
}
