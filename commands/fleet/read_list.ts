import { createHash } from "node:crypto";
import type { BatchGiven } from "../flags/batch_flags.ts";
import { imageLimits } from "../flags/limits.ts";
import { chosenSeed } from "../flags/types.ts";
import { readSource, textOf } from "../io/input.ts";
import { type Io, note, warn } from "../io/io.ts";
import { chooseModel } from "../io/model.ts";
import { InputError, quote } from "../../engine/mod.ts";
import { openInput } from "../../model/generate/images/open_input.ts";
import { planGeneration } from "../../model/generate/plan_generation.ts";
import { openImage } from "../../model/image/read_image.ts";
import type { Line } from "../../serve/batch/fields.ts";
import { readWish, type Wanted, type Wish } from "../../serve/batch/wanted.ts";

/** Lines that are named; of the others the number is told. */
const NAMED = 20;

type Read = (path: string) => Promise<Uint8Array<ArrayBuffer>>;

/**
 * Reads a list of prompts and checks every line, by the model's config if the model is here.
 *
 * @throws {InputError} `bad-line`, unless `--skip-broken` leaves such lines out; `no-lines`
 */
export async function readList(
  file: string,
  given: BatchGiven,
  read: Read,
  io: Io,
): Promise<readonly Wanted[]> {
  const source = await readSource(file, io);
  const { name } = source;
  const wish = await readWish(textOf(source), {
    seed: chosenSeed(given.seed) ?? 0n,
    defaults: {
      negativePrompt: given["negative-prompt"],
      width: given.width,
      height: given.height,
      cfgScale: given["cfg-scale"],
      tau: given.tau,
    },
    digest: once(async (path) => createHash("sha256").update(await read(path)).digest("hex")),
    check: given.redis === undefined ? await checkOf(given, read, io) : undefined,
  });
  reportBroken(wish, name, given["skip-broken"] === true, io);
  if (wish.images.length === 0) {
    throw new InputError("no-lines", `Cannot run a batch: ${quote(name)} has no prompts`);
  }
  if (wish.repeated > 0) {
    note(io, `Images that are asked for again are made once: ${wish.repeated}`);
  }
  return wish.images;
}

/** What checks a line by the config of the model: equal settings once. */
async function checkOf(
  given: BatchGiven,
  read: Read,
  io: Io,
): Promise<(line: Line) => Promise<void>> {
  const { config } = await chooseModel(given, io);
  const limits = imageLimits(given);
  const check = once(async (text) => {
    const { settings, init, mask } = JSON.parse(text) as Pick<Line, "settings" | "init" | "mask">;
    await planGeneration(config, {
      prompt: "any",
      ...settings,
      ...init !== undefined && { init: await openInput(await read(init), init, limits) },
      ...mask !== undefined && { mask: await openImage(await read(mask), mask, limits) },
    });
  });
  return ({ settings, init, mask }) => check(JSON.stringify({ settings, init, mask }));
}

/** Computes a value for each text once; the most recent ones are remembered. */
function once<T>(compute: (text: string) => Promise<T>): (text: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (text) => {
    let value = known.get(text);
    if (!value) {
      value = compute(text);
      known.set(text, value);
      if (known.size > 10_000) known.delete(known.keys().next().value!);
    }
    return value;
  };
}

function reportBroken({ broken }: Wish, name: string, skip: boolean, io: Io): void {
  const [first] = broken;
  if (!first) return;
  if (!skip) {
    const more = broken.length > 1 ? ` (and ${broken.length - 1} other lines are wrong)` : "";
    throw new InputError(
      "bad-line",
      `Cannot use line ${first.line} of ${quote(name)}: ${
        lowered(first.why)
      }${more}; correct it, ` +
        "or leave out such lines with --skip-broken",
    );
  }
  for (const { line, why } of broken.slice(0, NAMED)) {
    warn(io, `line ${line} of ${quote(name)} is left out: ${lowered(why)}`);
  }
  const rest = broken.length - NAMED;
  if (rest > 0) warn(io, `${rest} more lines are left out`);
}

/** A message in the middle of a sentence. */
function lowered(message: string): string {
  return message.replace(/^Cannot /, "cannot ").replace(/^Unknown /, "unknown ");
}
