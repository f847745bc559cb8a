import { FileError } from "../../engine/mod.ts";

/** Times of another program on the same work, such as PyTorch; docs/performance.md describes the file. */
export interface TorchTimes {
  /** Adapter, driver, version and types. */
  readonly machine: string;
  /** Microseconds by the names of rows. */
  readonly microseconds: Readonly<Record<string, number>>;
}

/** A row that both have. */
export interface TorchComparison {
  readonly name: string;
  readonly type: string;
  /** Microseconds. */
  readonly ours: number;
  readonly theirs: number;
  /** Theirs over ours: above 1, we are faster. */
  readonly ratio: number;
}

/** What is compared: rows with a name. */
export interface Timed {
  readonly name: string;
  readonly type?: string;
  readonly microseconds: number;
}

/**
 * Reads a file of times.
 *
 * @throws {FileError} `not-readable`: it is missing, no JSON, or has another form; the message says which.
 */
export async function readTorch(path: string): Promise<TorchTimes> {
  const fail = (why: string): never => {
    throw new FileError("not-readable", `Cannot compare with "${path}": ${why}`);
  };
  const text = await Deno.readTextFile(path).catch((error) =>
    fail(error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message)
  );
  let json: Partial<TorchTimes>;
  try {
    json = JSON.parse(text);
  } catch {
    return fail("it is not JSON");
  }
  const { machine, microseconds } = json ?? {};
  if (typeof machine !== "string" || typeof microseconds !== "object" || microseconds === null) {
    return fail('it needs "machine", a text, and "microseconds", an object');
  }
  const wrong = Object.entries(microseconds).find(([, time]) =>
    typeof time !== "number" || !(time > 0)
  );
  if (wrong) return fail(`"${wrong[0]}" must be a number of microseconds above 0`);
  return { machine, microseconds };
}

/** Compares the rows that both have, in our order. */
export function compareTorch(
  { microseconds }: TorchTimes,
  rows: readonly Timed[],
): TorchComparison[] {
  return rows.flatMap(({ name, type = "", microseconds: ours }) => {
    const theirs = microseconds[name];
    return theirs === undefined ? [] : [{ name, type, ours, theirs, ratio: theirs / ours }];
  });
}
