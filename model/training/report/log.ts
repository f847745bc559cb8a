import { CheckpointError, FileError, quote } from "../../../engine/mod.ts";
import { appendToFile, readSmallFile, writeFileAtomic } from "../../checkpoint/files.ts";
import { isRecord, isWhole } from "../../config/check_value.ts";
import { type Stage, STAGES } from "../config/types.ts";
import type { Report } from "./types.ts";

/** The most bytes of a log: a million steps. */
const LIMIT = 2 ** 29;

const NAMES: readonly unknown[] = STAGES;

/**
 * Parses a log: one JSON object a line. A last line that was cut off, by a process that was killed, is left out.
 *
 * @throws {CheckpointError} `bad-log`: another line is not a report; the message says which.
 */
export function parseLog(text: string, where: string): Report[] {
  const lines = text.split("\n");
  const reports: Report[] = [];
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const report = reportOf(line);
    if (report) reports.push(report);
    else if (i < lines.length - 1) {
      throw new CheckpointError(
        "bad-log",
        `Cannot read ${quote(where)}: line ${i + 1} is not a report; move the file away`,
      );
    }
  }
  return reports;
}

function reportOf(line: string): Report | null {
  try {
    const json = JSON.parse(line);
    if (!isRecord(json) || !NAMES.includes(json.stage) || !isWhole(json.step, 0)) return null;
    const { losses, bit_accuracy: accuracy } = json;
    if (losses !== undefined && !isRecord(losses)) return null;
    if (accuracy !== undefined && !Array.isArray(accuracy)) return null;
    return json as unknown as Report;
  } catch {
    return null;
  }
}

/** Reads a log; an absent one is empty. @throws {CheckpointError} `bad-log`. @throws {FileError} It cannot be read. */
export async function readLog(path: string): Promise<Report[]> {
  try {
    return parseLog(new TextDecoder().decode(await readSmallFile(path, LIMIT)), path);
  } catch (error) {
    if (error instanceof FileError && error.code === "file-not-found") return [];
    throw error;
  }
}

/** A log that reports are added to. */
export class Log {
  private constructor(private readonly path: string, private readonly kept: Report[]) {}

  /**
   * Opens a log to go on after a step of a stage: removes what was logged later in it. Other stages stay.
   *
   * @param step 0 begins the stage anew.
   */
  static async open(path: string, stage: Stage, step: number): Promise<Log> {
    const all = await readLog(path);
    const kept = all.filter((report) => report.stage !== stage || report.step <= step);
    await writeFileAtomic(path, new TextEncoder().encode(kept.map(lineOf).join("")));
    return new Log(path, kept);
  }

  /** All reports, the oldest first. */
  get reports(): readonly Report[] {
    return this.kept;
  }

  /** Adds a line. @throws {FileError} It cannot be written. */
  async append(report: Report): Promise<void> {
    this.kept.push(report);
    await appendToFile(this.path, new TextEncoder().encode(lineOf(report)));
  }
}

function lineOf(report: Report): string {
  return `${JSON.stringify(report, rounded)}\n`;
}

/** Six digits are enough, and can be read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value)
    ? Number(value.toPrecision(6))
    : value;
}
