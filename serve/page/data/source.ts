/**
 * What the page asks of whoever draws: the server, or an engine in this tab.
 *
 * @module
 */

import type { ModelCard } from "../../jobs/job.ts";

/** What the page needs to know of a model. */
export interface Card extends Pick<ModelCard, "name" | "sizes" | "defaults" | "edits"> {
  /** Most pictures of one request. */
  readonly maxImages: number;
}

/** A picture to start from. */
export interface Start {
  /** An image file, or a bits file. */
  readonly image: Blob;
  /** A PNG of the image's size; its white parts may change. */
  readonly mask?: Blob;
  /** 0 keeps everything, 1 nothing. Not together with `keepScales`. */
  readonly strength?: number;
  /** Number of scales to keep, counted from the first. */
  readonly keepScales?: number;
}

/** Pictures to draw. What is absent is the model's choice. */
export interface Ask {
  readonly prompt: string;
  readonly negativePrompt?: string;
  /** Pixels; absent where the start decides. */
  readonly width?: number;
  readonly height?: number;
  /** One number for all scales, or one for each. */
  readonly cfgScale?: number | readonly number[];
  readonly tau?: number | readonly number[];
  /** Decimal digits; picture i gets this seed + i. */
  readonly seed: string;
  /** Number of pictures. */
  readonly count: number;
  readonly start?: Start;
}

/** A picture after one of its scales. */
export interface Drawn {
  /** Which picture of the request, from 0. */
  readonly index: number;
  /** Which scale, from 0. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** A PNG. */
  readonly image: Blob;
}

/** A picture that is complete. */
export interface Finished {
  /** Which picture of the request, from 0. */
  readonly index: number;
  /** Its seed, in decimal digits. */
  readonly seed: string;
  /** A PNG that carries its parameters. */
  readonly image: Blob;
  /** The settings that reproduce it, as web UIs write them. */
  readonly parameters: string;
  /** Its bits, as a bits file; absent if the source keeps them. */
  readonly bits?: Blob;
}

/** Who waits for pictures. */
export interface Viewer {
  readonly signal: AbortSignal;
  onScale(drawn: Drawn): void;
  onPicture(finished: Finished): void;
}

/** Draws pictures. */
export interface Source {
  /**
   * Reads what the model can do.
   *
   * @throws {Failure} It cannot be reached, or wants a token.
   */
  card(): Promise<Card>;
  /**
   * Draws, and resolves after the last picture.
   *
   * @throws {Failure} The request is wrong, or the source fails.
   * @throws The reason of the viewer's signal, once it is aborted.
   */
  draw(ask: Ask, viewer: Viewer): Promise<void>;
}
