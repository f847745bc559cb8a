/** What a study of the paper's claims finds, and how it is shown. */

import type { Device } from "../../engine/mod.ts";
import type { Series } from "../../model/charts/svg.ts";

/** A table of results. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** A chart of results. */
export interface Lines {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly scales: readonly ["linear" | "logarithmic", "linear" | "logarithmic"];
  readonly series: readonly Series[];
}

/** What a study found. */
export interface Findings {
  readonly tables: readonly Table[];
  readonly charts: readonly Lines[];
  /** What the numbers say, and what they do not. */
  readonly notes: readonly string[];
}

/** How much a study may do. */
export interface Effort {
  /** Steps of each training are multiplied by it; 1 is minutes on two CPU cores. */
  readonly factor: number;
  /** Images that are generated for a measurement, at most; a study may say fewer. */
  readonly images: number;
  /** A folder for models, which is removed afterwards. */
  readonly folder: string;
  /** Called with a line now and then. */
  readonly say: (line: string) => void;
}

/** Steps of a training that has so many at a factor of 1. */
export function scaled(steps: number, { factor }: Effort): number {
  return Math.max(2, Math.round(steps * factor));
}

/** A study. */
export interface Study {
  readonly name: string;
  /** The claim, as a heading. */
  readonly title: string;
  /** What is done to examine it. */
  readonly method: string;
  run(device: Device, effort: Effort): Promise<Findings>;
}

/** A study that was run, as bench/results/studies/NAME.json holds it. */
export interface Done extends Findings, Pick<Study, "name" | "title" | "method"> {
  readonly machine: { readonly adapter: string; readonly cores: number; readonly version: string };
  readonly factor: number;
  readonly seconds: number;
}

/** A number with so many significant digits, without an exponent where it is readable. */
export function digits(value: number, count: number = 3): string {
  if (!Number.isFinite(value)) return `${value}`;
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)) {
    return value.toExponential(count - 1);
  }
  return `${Number(value.toPrecision(count))}`;
}
