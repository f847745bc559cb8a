/** What is asked of the thread that reads and writes image files. */

import type { SentError } from "../../../engine/mod.ts";
import type { Pixels } from "../../jobs/job.ts";

/** A format that images are written in. */
export type Format = "png" | "jpeg" | "webp";

/** What to do. */
export type Order =
  | {
    readonly kind: "encode";
    readonly image: Pixels;
    readonly format: Format;
    /** Percent; no matter for a PNG. */
    readonly quality: number;
    /** Text that a PNG carries. */
    readonly parameters?: string;
  }
  | {
    /** Makes what may change white: where a mask is transparent, or white, or black if `invert`. */
    readonly kind: "mask";
    readonly file: Uint8Array<ArrayBuffer>;
    /** Whether transparent parts, if there are any, are what may change. */
    readonly alpha: boolean;
    readonly invert: boolean;
    readonly maxPixels: number;
  }
  | {
    /** Reads the prompt that a PNG carries. */
    readonly kind: "prompt";
    readonly file: Uint8Array<ArrayBuffer>;
  };

/** What an order is answered with. */
export interface Answers {
  readonly encode: Uint8Array<ArrayBuffer>;
  /** A file. */
  readonly mask: Uint8Array<ArrayBuffer>;
  readonly prompt: string | null;
}

/** From the thread, which has one order at a time. */
export type Reply =
  | { readonly answer: Answers[keyof Answers] }
  | { readonly error: SentError };
