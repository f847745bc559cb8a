import { join } from "../../../deps/@std/path.ts";
import { makeFolder, writeFileAtomic } from "../../checkpoint/files.ts";
import type { Pixels } from "../../image/enlarge.ts";
import { encodePng } from "../../image/png.ts";
import { contactSheet } from "../../image/sheet.ts";
import type { Stage } from "../config/types.ts";
import { curves } from "./curves.ts";
import { Log } from "./log.ts";
import type { Report } from "./types.ts";

/** Where a stage begins to report. */
export interface ReporterPlace {
  /** The folder of the training, which exists. */
  readonly output: string;
  /** The stage. */
  readonly stage: Stage;
  /** Name of the model, for the heading of the curves. */
  readonly name: string;
  /** Step that the stage goes on after; 0 begins it anew. */
  readonly step: number;
}

/** Images in a row of a sheet. */
const COLUMNS = 4;

/** Writes what training says of itself: `log.jsonl`, `curves.svg`, and sheets of samples. */
export class Reporter {
  private constructor(private readonly place: ReporterPlace, private readonly log: Log) {}

  /** Begins, or goes on: what was logged after the step is removed. @throws {FileError} The log cannot be written. */
  static async open(place: ReporterPlace): Promise<Reporter> {
    const { output, stage, step } = place;
    return new Reporter(place, await Log.open(join(output, "log.jsonl"), stage, step));
  }

  /** Adds a line to the log. @throws {FileError} It cannot be written. */
  async report(report: Report): Promise<void> {
    await this.log.append(report);
  }

  /** Draws the curves of all stages. @throws {FileError} They cannot be written. */
  async draw(): Promise<void> {
    const svg = curves(this.log.reports, this.place.name);
    await writeFileAtomic(join(this.place.output, "curves.svg"), new TextEncoder().encode(svg));
  }

  /**
   * Writes a sheet of images of one size, as `samples/STAGE-STEP.png`, and returns its path.
   *
   * @param captions Prompts, row by row, which the file carries as text.
   */
  async samples(
    step: number,
    images: readonly Pixels[],
    captions: readonly string[],
  ): Promise<string> {
    const folder = join(this.place.output, "samples");
    await makeFolder(folder);
    const name = `${this.place.stage}-${`${step}`.padStart(6, "0")}.png`;
    const { width, height, rgba } = contactSheet(images, Math.min(COLUMNS, images.length));
    const text: Record<string, string> = captions.length
      ? { Description: captions.join("\n") }
      : {};
    await writeFileAtomic(join(folder, name), encodePng(rgba, width, height, text));
    return join(folder, name);
  }
}
