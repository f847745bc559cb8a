import { dirname, resolve } from "../../deps/@std/path.ts";
import { BatchReport } from "./batch_report.ts";
import { readList } from "./read_list.ts";
import type { BatchGiven } from "../flags/batch_flags.ts";
import { UsageError } from "../flags/flags.ts";
import { OF_WORKERS, openRemoteMaker, refuseLocal } from "../io/fleet.ts";
import { readSource } from "../io/input.ts";
import type { Io } from "../io/io.ts";
import { openMaker } from "../io/maker.ts";
import { findMissing, runBatch, WINDOW } from "../../serve/batch/run_batch.ts";
import { ResultsFile } from "../../serve/batch/results_file.ts";
import { shardOf } from "../../serve/batch/wanted.ts";

/** Flags that mean nothing without workers. */
const OF_FLEETS = ["redis-queue", "results"] as const;

/** Makes the images of a list that are not there yet. */
export async function batchImages(
  file: string,
  output: string,
  given: BatchGiven,
  io: Io,
): Promise<number> {
  if (given.redis !== undefined) refuseLocal(given, ["model", ...OF_WORKERS]);
  const remote = OF_FLEETS.find((name) => given[name] !== undefined);
  if (given.redis === undefined && remote) {
    throw new UsageError(`Cannot use --${remote} without --redis`);
  }
  const folder = file === "-" ? "." : dirname(file);
  const read = async (path: string) => (await readSource(resolve(folder, path), io)).bytes;
  const all = await readList(file, given, read, io);
  const images = given.shard ? shardOf(all, given.shard) : all;
  const results = await ResultsFile.open(output, given.shard);
  const place = { folder: output, results, overwrite: given.overwrite === true };
  const missing = await findMissing(images, place);
  using report = new BatchReport(images.length, missing.length, output, given.json === true, io);
  if (missing.length === 0) return report.end();
  const { maker } = given.redis === undefined
    ? await openMaker(given, { queue: WINDOW }, io)
    : await openRemoteMaker(given, WINDOW, io);
  report.begin();
  try {
    await runBatch(missing, {
      ...place,
      maker,
      read,
      bits: given.bits === true,
      signal: io.signal,
      onMade: (_image, made) => report.made(made),
      onFailed: (image, error) => report.failed(image, error),
    });
  } catch (error) {
    report.stopped();
    throw error;
  } finally {
    await maker.close("at once");
  }
  return report.end();
}
