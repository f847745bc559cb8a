/** What the parts of the JPEG reader share. */

import type { HuffmanTable } from "./bits.ts";

/** One component of a JPEG: luminance, for instance. */
export interface JpegComponent {
  readonly id: number;
  /** Samples across and down in each MCU, in blocks. */
  readonly h: number;
  readonly v: number;
  /** Samples across and down. */
  readonly width: number;
  readonly height: number;
  /** Blocks across and down, with those that only fill up MCUs. */
  readonly across: number;
  readonly down: number;
  /** What to multiply coefficients by, row by row; set by the first scan. */
  quant?: Int32Array;
  /** By coefficient: the lowest bit decoded so far, or -1. */
  readonly low: Int8Array;
}

/** What the components mean. CMYK is stored inverted, as Adobe does. */
export type JpegColours = "grey" | "rgb" | "ycc" | "cmyk" | "ycck";

/** Blocks of a component that hold part of the image: those of a scan of it alone. */
export function blocksOf({ width, height }: JpegComponent): { across: number; down: number } {
  return { across: Math.ceil(width / 8), down: Math.ceil(height / 8) };
}

/** One component in a scan. */
export interface ScanComponent {
  readonly component: JpegComponent;
  readonly dc?: HuffmanTable;
  readonly ac?: HuffmanTable;
}

/** One scan: which coefficients of which components it holds. */
export interface Scan {
  readonly components: readonly ScanComponent[];
  /** The first and last coefficient, and the bits that are missing before and after it. */
  readonly from: number;
  readonly to: number;
  readonly high: number;
  readonly low: number;
  /** MCUs between restart markers, 0 if there are none. */
  readonly restartInterval: number;
  /** Its coded bytes. */
  readonly start: number;
  readonly end: number;
}

/** A JPEG without its pixels. */
export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  readonly progressive: boolean;
  readonly colours: JpegColours;
  readonly components: readonly JpegComponent[];
  /** Blocks of one MCU across and down, and MCUs of the image. */
  readonly mcu: { readonly h: number; readonly v: number; across: number; down: number };
  readonly scans: readonly Scan[];
  readonly exif?: Uint8Array;
  readonly icc?: Uint8Array;
}

/** Where in a block the coefficients lie, in the order in which they are coded. */
export const ZIGZAG = Uint8Array.from(function* () {
  for (let sum = 0; sum < 15; sum++) {
    const [from, to] = [Math.max(0, sum - 7), Math.min(7, sum)];
    for (let i = from; i <= to; i++) yield sum % 2 ? i * 8 + sum - i : (sum - i) * 8 + i;
  }
}());
