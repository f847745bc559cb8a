import { join } from "../../deps/@std/path.ts";
import { FileError, isObject, quote } from "../../engine/mod.ts";
import {
  appendToFile,
  attempt,
  makeFolder,
  readSmallFile,
  writeFileAtomic,
} from "../../model/checkpoint/files.ts";
import { isName } from "../stores/names.ts";
import type { Shard } from "./wanted.ts";

/** A line of `results.jsonl`: an image that was made. */
export interface ResultRow {
  readonly id: string;
  /** Its file, in the same folder. */
  readonly file: string;
  readonly prompt: string;
  readonly seed: string;
  /** Its share of the time of its batch; null if the run ended between the image and this line. */
  readonly seconds: number | null;
  /** See {@link Wanted.key}. */
  readonly key: string;
}

/** The most bytes of a file of results. */
const MAX_BYTES = 2 ** 30;
/** Names of such files. */
const NAME = /^results(-\d+-of-\d+)?\.jsonl$/;

/**
 * The list of what was made: `results.jsonl`, or `results-2-of-8.jsonl` of a shard. Lines are only added, so that a
 * process that is killed spoils the last line at most, which the next one removes.
 */
export class ResultsFile {
  /** What was made by this run and earlier ones, in all files of the folder. */
  readonly known: Map<string, ResultRow>;
  #rows: ResultRow[];
  #last: Promise<void> = Promise.resolve();

  private constructor(
    readonly path: string,
    rows: ResultRow[],
    others: readonly ResultRow[],
    private readonly text: string,
  ) {
    this.#rows = rows;
    this.known = new Map([...others, ...rows].map((row) => [row.id, row]));
  }

  /** Makes the folder, and reads what is in it. @throws {FileError} `bad-results`: a line is not one of ours. */
  static async open(folder: string, shard?: Shard): Promise<ResultsFile> {
    await makeFolder(folder);
    const name = shard ? `results-${shard.index}-of-${shard.count}.jsonl` : "results.jsonl";
    const others: ResultRow[] = [];
    for (const entry of await attempt(folder, Array.fromAsync(Deno.readDir(folder)))) {
      if (!NAME.test(entry.name) || entry.name === name) continue;
      others.push(...readRows(await readText(join(folder, entry.name)), entry.name));
    }
    const path = join(folder, name);
    const text = await readText(path);
    return new ResultsFile(path, readRows(text, name), others, text);
  }

  /** Removes what a killed process left of a line, and images that are to be made again. */
  async mend(again: ReadonlySet<string>): Promise<void> {
    this.#rows = this.#rows.filter(({ id }) => !again.has(id));
    for (const id of again) this.known.delete(id);
    const text = this.#rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    if (text !== this.text) await writeFileAtomic(this.path, new TextEncoder().encode(text));
  }

  /** Adds an image. Lines that are added at the same time follow each other. */
  add(row: ResultRow): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(row)}\n`);
    this.known.set(row.id, row);
    const added = this.#last.then(() => appendToFile(this.path, bytes));
    this.#last = added.catch(() => {});
    return added;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readSmallFile(path, MAX_BYTES));
  } catch (error) {
    if (error instanceof FileError && error.code === "file-not-found") return "";
    throw error;
  }
}

/** Reads whole lines; what follows the last line break is what a killed process left. */
function readRows(text: string, name: string): ResultRow[] {
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n").slice(0, -1);
  const rows = new Map<string, ResultRow>();
  for (const [i, line] of lines.entries()) {
    const row = readRow(line);
    if (!row) {
      const message = `Cannot read ${quote(name)}: line ${i + 1} is not a result; delete that line`;
      throw new FileError("bad-results", message);
    }
    rows.set(row.id, row);
  }
  return [...rows.values()];
}

function readRow(line: string): ResultRow | null {
  try {
    const row: unknown = JSON.parse(line);
    if (!isObject(row)) return null;
    const { id, file, prompt, seed, seconds, key } = row;
    const texts = [id, file, prompt, seed, key].every((value) => typeof value === "string");
    const time = seconds === null || typeof seconds === "number";
    return texts && time && isName(file as string) ? row as unknown as ResultRow : null;
  } catch {
    return null;
  }
}
