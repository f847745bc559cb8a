/** Compares images with true ones. */

import type { Device } from "../../../../engine/mod.ts";
import { type Area, type Images, shrink, squaredDistance } from "../base/measures.ts";
import type { SceneComposer } from "./composer.ts";
import type { SceneRules } from "./rules.ts";
import type { Scene } from "./scene.ts";
import type { Ways } from "./ways.ts";

/** What true images are composed with. */
export interface Composition {
  /** Where it happens. */
  readonly device: Device;
  /** Which sprites and colours there are. */
  readonly rules: SceneRules;
  /** Makes the images, with the same sprites. */
  readonly composer: SceneComposer;
}

/** Pixels across and down to which images are averaged before they are compared. */
export const SMALL = 16;
/** Pixels in which true images are composed before they are averaged. */
const COMPOSED = 32;
/** True images that are composed at a time. */
const AT_A_TIME = 2048;

/** What an image, or a part of it, may show. */
export interface Candidate {
  /** The place of the image. */
  readonly image: number;
  /** How it may be shown. */
  readonly ways: Ways;
  /** The part that counts, in {@link SMALL} pixels across and down; all if absent. */
  readonly area?: Area;
}

/**
 * The distance of each candidate's nearest way from its image: a sum of squares.
 *
 * @param images Their size must be a multiple of {@link SMALL}.
 */
export async function lookUp(
  { device, composer }: Composition,
  images: Images,
  candidates: readonly Candidate[],
): Promise<number[]> {
  const small = shrink(images, SMALL);
  const distances: number[] = [];
  for (let start = 0; start < candidates.length;) {
    const scenes: Scene[] = [];
    const places: number[] = [];
    for (let i = start; i < candidates.length && scenes.length < AT_A_TIME; i++) {
      places.push(scenes.length);
      scenes.push(...candidates[i]!.ways);
    }
    const tensor = composer.compose(scenes, COMPOSED);
    const values = await device.read(tensor) as Float32Array;
    tensor.dispose();
    const truths = shrink({ values, size: COMPOSED }, SMALL);
    places.forEach((place, i) => {
      const { image, ways, area } = candidates[start + i]!;
      const all = ways.map((_, way) => squaredDistance(small, image, truths, place + way, area));
      distances.push(Math.min(...all));
    });
    start += places.length;
  }
  return distances;
}

/** The place of the smallest number. */
export function nearest(distances: readonly number[]): number {
  return distances.indexOf(Math.min(...distances));
}
