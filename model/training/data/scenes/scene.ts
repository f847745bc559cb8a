import type { Rgb, SceneDot } from "../../../../kernels/images/scene_layout.ts";

/** A sprite with its place. Lengths are shares of the image's side. */
export interface SceneObject {
  /** Its place in the list of sprites. */
  readonly sprite: number;
  /** The place of its new colour in the palette; null leaves it as it is. */
  readonly colour: number | null;
  /** The centre, from the left. */
  readonly x: number;
  /** The centre, from the top. */
  readonly y: number;
  /** The longer side. */
  readonly size: number;
  /** By how much it is turned, clockwise in radians. */
  readonly turn: number;
  /** Whether left and right are exchanged. */
  readonly mirrored: boolean;
}

/** What is behind the objects. */
export interface Background {
  /** What captions say of it; empty if it is white. */
  readonly phrase: string;
  /** Colours of the sky, of a band below the horizon and of the ground, each at its top and its bottom. */
  readonly colours: readonly [sky: [Rgb, Rgb], band: [Rgb, Rgb], ground: [Rgb, Rgb]];
  /** Where the sky ends; above 1 there is nothing else. */
  readonly horizon: number;
  /** Where the band ends. */
  readonly shore: number;
  /** Stars, snow or bubbles. */
  readonly dots: readonly SceneDot[];
  /** Whether objects throw a shadow. */
  readonly grounded: boolean;
}

/** A caption, and all that its image shows. */
export interface Scene {
  /** The words that describe it. */
  readonly caption: string;
  /** What is behind the objects. */
  readonly background: Background;
  /** From back to front. */
  readonly objects: readonly SceneObject[];
}
