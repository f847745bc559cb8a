import { setTimeout as delay } from "node:timers/promises";
import { join } from "../../deps/@std/path.ts";
import { FileError, quote } from "../../engine/mod.ts";
import { readSmallFile, writeFileAtomic } from "../../model/checkpoint/files.ts";
import { parseParameters } from "../../model/generate/plan/parameters.ts";
import { encodePng, readPngText } from "../../model/image/png.ts";
import { BusyError } from "../jobs/busy_error.ts";
import type { Job, Made, Maker } from "../jobs/job.ts";
import { MAX_FILE } from "../stores/store.ts";
import type { ResultsFile } from "./results_file.ts";
import type { Wanted } from "./wanted.ts";

/** Images that the maker has at once, so that it can batch those of equal settings. */
export const WINDOW = 128;
/** Failures in a row after which the rest is thought to fail too. */
const MOST_FAILURES = 20;

/** The name of an image's file. */
export const fileOf = ({ id }: Pick<Wanted, "id">): string => `${id}.png`;

/** Where images go. */
export interface Place {
  readonly folder: string;
  readonly results: ResultsFile;
  /** Whether files that show something else are replaced. */
  readonly overwrite: boolean;
}

/**
 * Finds what is still to be made, and mends what a killed run left.
 *
 * @throws {FileError} `exists`: a file of that name shows something else.
 */
export async function findMissing(
  images: readonly Wanted[],
  { folder, results, overwrite }: Place,
): Promise<Wanted[]> {
  const missing: Wanted[] = [];
  const adopted: Wanted[] = [];
  for (const image of images) {
    const path = join(folder, fileOf(image));
    const row = results.known.get(image.id);
    const exists = await Deno.stat(path).then(() => true, () => false);
    if (exists && row?.key === image.key) continue;
    if (exists && !row && await shows(path, image)) adopted.push(image);
    else if (!exists || overwrite) missing.push(image);
    else {
      throw new FileError(
        "exists",
        `Cannot write ${quote(path)} for line ${image.line}: it exists and is another image; ` +
          "delete it, or give the line another id",
        { hint: "overwrite" },
      );
    }
  }
  await results.mend(new Set(missing.map(({ id }) => id)));
  for (const image of adopted) await results.add(rowOf(image, null));
  return missing;
}

/** Whether a file is what a run made that was killed before it could say so. */
async function shows(path: string, { prompt, seed }: Wanted): Promise<boolean> {
  try {
    const { parameters = "" } = readPngText(await readSmallFile(path, MAX_FILE), path);
    const found = parseParameters(parameters);
    return found.prompt === prompt && `${found.seed}` === seed;
  } catch {
    return false;
  }
}

function rowOf(image: Wanted, seconds: number | null) {
  const { id, prompt, seed, key } = image;
  return { id, file: fileOf(image), prompt, seed, seconds, key };
}

/** How images are made. */
export interface BatchOptions extends Place {
  readonly maker: Maker;
  readonly signal: AbortSignal;
  /** Whether the bits of each image are written too. */
  readonly bits: boolean;
  /** Reads a file that a line names. */
  readonly read: (path: string) => Promise<Uint8Array<ArrayBuffer>>;
  readonly onMade: (image: Wanted, made: Made) => void;
  /** Called for an image that cannot be made; the others go on. */
  readonly onFailed: (image: Wanted, error: Error) => void;
}

/**
 * Makes images and writes each as soon as it is made: the file first, then its line in the results.
 *
 * @throws The reason of the signal; what a file cannot be written for; the last failure, if nothing else succeeds.
 */
export async function runBatch(images: readonly Wanted[], options: BatchOptions): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const queue = images.values();
  let failures = 0;
  const work = async () => {
    for (const image of queue) {
      signal.throwIfAborted();
      let made: Made;
      try {
        made = await makeOne(image, options, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted || !(error instanceof Error)) throw error;
        options.onFailed(image, error);
        if (++failures >= MOST_FAILURES) throw error;
        continue;
      }
      await write(image, made, options);
      options.onMade(image, made);
    }
  };
  const workers = Array.from(
    { length: Math.min(WINDOW, images.length) },
    () =>
      work().catch((error) => {
        // the first error ends the others
        stop.abort(error);
        throw error;
      }),
  );
  await Promise.allSettled(workers);
  await Promise.all(workers);
}

async function makeOne(
  image: Wanted,
  { maker, read }: BatchOptions,
  signal: AbortSignal,
): Promise<Made> {
  const { id, key, prompt, seed, settings, init, mask } = image;
  const file = async (path: string) => (await read(path)).toBase64();
  const job: Job = {
    // the name of another's image must not hide this one in a queue
    id: id.endsWith(key) ? id : `${id}-${key}`,
    prompt,
    seed,
    settings: {
      ...settings,
      ...init !== undefined && { init: await file(init) },
      ...mask !== undefined && { mask: await file(mask) },
    },
  };
  while (true) {
    try {
      return await maker.make(job, { signal });
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      await delay(1000 * error.retryAfter, undefined, { signal }).catch(() =>
        signal.throwIfAborted()
      );
    }
  }
}

async function write(image: Wanted, made: Made, options: BatchOptions): Promise<void> {
  const { folder, results, bits } = options;
  const { rgba, width, height, parameters, seconds, batch } = made;
  if (bits) await writeFileAtomic(join(folder, `${image.id}.safetensors`), made.bits);
  const png = encodePng(rgba, width, height, { parameters });
  await writeFileAtomic(join(folder, fileOf(image)), png);
  await results.add(rowOf(image, Number((seconds / batch).toPrecision(4))));
}
