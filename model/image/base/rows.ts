/** The pixels of an image file, row by row: what readers give, and what resizing takes. */

/**
 * How an image lies in its file, as EXIF counts: its first row and first column show the top and left
 * (1), top and right (2), bottom and right (3), bottom and left (4), left and top (5), right and top
 * (6), right and bottom (7), left and bottom (8) of what is seen.
 */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** What reading an image may cost. */
export interface ImageLimits {
  /** The most pixels that a header may claim; 2^27 by default. */
  readonly maxPixels?: number;
  /** Stops the decoding of pixels. */
  readonly signal?: AbortSignal;
}

/** An image file whose pixels come row by row, as stored. */
export interface RowSource {
  /** Pixels across, as stored: before `orientation`. */
  readonly width: number;
  /** Pixels down, as stored. */
  readonly height: number;
  /** How the image lies in its file; 1 is upright. */
  readonly orientation: Orientation;
  /** Whether no pixel can be transparent: the file has no alpha. */
  readonly opaque: boolean;
  /** An embedded ICC profile, decompressed. */
  readonly icc?: Uint8Array;
  /** Phrases about what was changed: `"it has 16 bits per channel; 8 are used"`. */
  readonly warnings: readonly string[];
  /**
   * Reads whole rows of RGBA8 from top to bottom, some or none at once, from the start at each call. An
   * array that was yielded may be reused.
   *
   * @throws {FileError} The data end early, or are corrupt.
   */
  rows(): AsyncIterable<Uint8Array>;
}
