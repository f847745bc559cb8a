import type { Redis } from "../../deps/bullmq.ts";
import { InputError, isObject, quote } from "../../engine/mod.ts";
import { isGrid, isWhole } from "../../model/config/check_value.ts";
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

/** Returns what the workers of a queue can do; null if there is none. @throws {InputError} As {@link parseCard}. */
export async function readCard(redis: Redis, queue: string): Promise<ModelCard | null> {
  const text = await redis.get(cardKey(queue));
  return text === null ? null : parseCard(text, queue);
}

/**
 * Reads what workers say of their model.
 *
 * @param queue The name of the queue, for messages.
 * @throws {InputError} `bad-card`: it is something else, such as what another version says.
 */
export function parseCard(text: string, queue: string): ModelCard {
  try {
    const card: unknown = JSON.parse(text);
    if (isCard(card)) return card;
  } catch {
    // it is not JSON
  }
  throw new InputError(
    "bad-card",
    `Cannot use the queue ${
      quote(queue)
    }: what its workers say of their model is not understood; ` +
      "use the same version of bitwise everywhere, or a queue of its own",
  );
}

function isCard(card: unknown): card is ModelCard {
  if (!isObject(card)) return false;
  const { sizes, defaults, edits, batch = 1 } = card;
  return ["name", "type", "adapter", "digest"].every((key) => typeof card[key] === "string") &&
    Array.isArray(sizes) && sizes.length > 0 && sizes.every(isSize) &&
    isObject(defaults) && [defaults.cfgScale, defaults.tau].every(isPerScale) &&
    typeof edits === "boolean" && isWhole(batch, 1);
}

function isSize(size: unknown): boolean {
  return isObject(size) && isGrid([size.height, size.width]) &&
    Array.isArray(size.schedule) && size.schedule.length > 0 && size.schedule.every(isGrid);
}

/** Whether a setting is a number, or a list of one for each scale. */
function isPerScale(value: unknown): boolean {
  return [value].flat().every(Number.isFinite);
}
