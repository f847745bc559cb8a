import type { Tensor } from "../../../../engine/mod.ts";

/** Images and captions of one step. */
export interface Batch {
  /** [B, H, W, 3] f32 on the device: red, green and blue from −1 to 1. The caller disposes of it. */
  readonly images: Tensor;
  /** One for each image. */
  readonly captions: readonly string[];
  /** Which picture of their size the images are, where the source counts its {@link DataSource.pictures}. */
  readonly pictures?: readonly number[];
}

/** The size of images in pixels. */
export interface Size {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
}

/** Which images a source has: those that are not held out, those that are, or both. */
export type Which = "training" | "measuring" | "all";

/** Where training images and captions come from. */
export interface DataSource {
  /** The sizes that batches may have; all images of a batch have the same. */
  readonly sizes: readonly Size[];
  /** Different images; null if they are composed as they are asked for. */
  readonly count: number | null;
  /**
   * Different pictures of each size, a mirrored image being another: then the images of batches have numbers. Absent or
   * null where they are composed as they are asked for.
   */
  readonly pictures?: readonly number[] | null;
  /**
   * Makes the batch of a step. It depends on seed, step and size alone, so that a run that is resumed sees what it would
   * have seen. Asking for one step after the other is fastest.
   *
   * @param step Counted from 0.
   * @param size Images in the batch.
   * @throws {BitwiseError} A file of the batch cannot be used.
   */
  batch(step: number, size: number): Promise<Batch>;
  /** All captions that batches may have; absent or null where they cannot be listed, or are more than `most`. */
  captions?(most: number): ReadonlySet<string> | null;
  /** Ends Workers and frees memory. Batches that were returned stay. */
  dispose(): void;
}
