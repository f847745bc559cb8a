/**
 * How often a model composes what its prompt says: an image is looked up among true images of other colours, objects,
 * relations or numbers, and is right if the nearest one shows what was asked for.
 */

import { Draws, STREAMS } from "../base/draws.ts";
import type { Images } from "../base/measures.ts";
import { OPPOSITE, relationOf, RELATIONS, type Side, SIDES } from "./layout.ts";
import { type Candidate, type Composition, lookUp, nearest, SMALL } from "./look_up.ts";
import { PALETTE } from "./palette.ts";
import type { Scene, SceneObject } from "./scene.ts";
import { oneOfTwo, several, single } from "./ways.ts";

/** Shares of images, from 0 to 1. */
export interface ColourAccuracy {
  /** Nearest in the right one of the 11 colours. */
  readonly colour: number;
  /** Nearest to the right one of 41 objects. */
  readonly object: number;
  /** Right in both ways. */
  readonly both: number;
}

/** Shares, from 0 to 1. */
export interface PairAccuracy {
  /** Of objects that are the right one of 41. */
  readonly one: number;
  /** Of images that have both. */
  readonly both: number;
  /** Of images that have both, whichever is where. */
  readonly anyOrder: number;
}

/** Shares, from 0 to 1; NaN of no images. */
export interface RelationAccuracy {
  /** Of images with an object left or right of another: those that are nearest so, of the four relations. */
  readonly beside: number;
  /** The same of images with an object above or below another. */
  readonly stacked: number;
  /** Of objects that are the right one of 41 where the prompt says. */
  readonly one: number;
  /** Of images that have both objects, and the relation. */
  readonly both: number;
}

/** Other objects that an image is compared with. */
const OTHERS = 40;
/** Numbers of objects that are told apart. */
const COUNTS = [1, 2, 3, 4];

/**
 * Looks up images of one object each.
 *
 * @param images In the order of `scenes`; their size must be a multiple of 16.
 * @param scenes What each should show: one object in a colour.
 */
export async function colourAccuracy(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
  seed: bigint = 0n,
): Promise<ColourAccuracy> {
  const candidates = scenes.flatMap(({ objects }, image) => {
    const { sprite, colour } = objects[0]!;
    const sprites = withOthers(composition, sprite, new Draws(seed, STREAMS.measured, 1, image));
    return [
      ...PALETTE.map((_, colour) => single(sprite, colour)),
      ...sprites.map((sprite) => single(sprite, colour)),
    ].map((ways) => ({ image, ways }));
  });
  const distances = await lookUp(composition, images, candidates);
  const each = PALETTE.length + OTHERS + 1;
  const right = scenes.map(({ objects }, i) => {
    const own = distances.slice(i * each, (i + 1) * each);
    return {
      colour: nearest(own.slice(0, PALETTE.length)) === objects[0]!.colour,
      object: nearest(own.slice(PALETTE.length)) === 0,
    };
  });
  return {
    colour: share(right.map(({ colour }) => colour)),
    object: share(right.map(({ object }) => object)),
    both: share(right.map(({ colour, object }) => colour && object)),
  };
}

/**
 * Looks up both halves of images of two objects.
 *
 * @param images In the order of `scenes`; their size must be a multiple of 16.
 * @param scenes What each should show: two objects, of which the places say in which half each should be.
 */
export async function pairAccuracy(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
  seed: bigint = 0n,
): Promise<PairAccuracy> {
  const right = await rightObjects(composition, images, scenes, seed);
  const swapped = await rightObjects(composition, images, scenes.map(exchanged), seed);
  return {
    one: share(right.flat()),
    both: share(right.map(both)),
    anyOrder: share(right.map((objects, i) => both(objects) || both(swapped[i]!))),
  };
}

/**
 * Looks up images of two objects among true images of both in the four relations, and each half among other objects.
 *
 * @param images In the order of `scenes`; their size must be a multiple of 16.
 * @param scenes What each should show: two objects, of which the places say how they should lie.
 */
export async function relationAccuracy(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
  seed: bigint = 0n,
): Promise<RelationAccuracy> {
  const objects = await rightObjects(composition, images, scenes, seed);
  const relations = await nearestRelations(composition, images, scenes);
  const asked = scenes.map(({ objects }) => relationOf(objects));
  const right = asked.map((relation, i) => relation === relations[i]);
  const isBeside = (side: Side) => side === "left" || side === "right";
  return {
    beside: share(right.filter((_, i) => isBeside(asked[i]!))),
    stacked: share(right.filter((_, i) => !isBeside(asked[i]!))),
    one: share(objects.flat()),
    both: share(right.map((relation, i) => relation && both(objects[i]!))),
  };
}

/** Of both objects of each scene, whether they are the right ones of 41 in their halves of its image. */
async function rightObjects(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
  seed: bigint,
): Promise<[first: boolean, second: boolean][]> {
  const halves = scenes.flatMap(({ objects }, image) => {
    const side = relationOf(objects);
    return [side, OPPOSITE[side]].flatMap((side, i) => {
      const draws = new Draws(seed, STREAMS.measured, 2, 2 * image + i);
      const sprites = withOthers(composition, objects[i]!.sprite, draws);
      return sprites.map((sprite) => half(image, sprite, side));
    });
  });
  const distances = await lookUp(composition, images, halves);
  const each = OTHERS + 1;
  const right = (i: number) => nearest(distances.slice(i * each, (i + 1) * each)) === 0;
  return scenes.map((_, i) => [right(2 * i), right(2 * i + 1)]);
}

/** How the objects of each scene lie in its image. */
async function nearestRelations(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
): Promise<Side[]> {
  const halves = scenes.flatMap(({ objects: [first, second] }, image) =>
    RELATIONS.flatMap((side) => [
      half(image, first!.sprite, side),
      half(image, second!.sprite, OPPOSITE[side]),
    ])
  );
  const distances = await lookUp(composition, images, halves);
  return scenes.map((_, i) => {
    // both halves are the whole image
    const whole = RELATIONS.map((_, r) => {
      const at = 2 * (i * RELATIONS.length + r);
      return distances[at]! + distances[at + 1]!;
    });
    return RELATIONS[nearest(whole)]!;
  });
}

/** One of two objects, to be looked up in the half of an image where it lies. */
function half(image: number, sprite: number, side: Side): Candidate {
  const [right, down] = SIDES[side];
  const area = {
    left: right > 0 ? SMALL / 2 : 0,
    right: right < 0 ? SMALL / 2 : SMALL,
    top: down > 0 ? SMALL / 2 : 0,
    bottom: down < 0 ? SMALL / 2 : SMALL,
  };
  return { image, ways: oneOfTwo(sprite, side), area };
}

/**
 * Looks up images of several objects of one kind among true images of one to four, and returns the share whose number is
 * right.
 *
 * @param images In the order of `scenes`; their size must be a multiple of 16.
 */
export async function countAccuracy(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
): Promise<number> {
  const candidates = scenes.flatMap(({ objects }, image) => {
    const { sprite, colour } = objects[0]!;
    return COUNTS.map((count) => ({ image, ways: several(sprite, colour, count) }));
  });
  const distances = await lookUp(composition, images, candidates);
  return share(scenes.map(({ objects }, i) => {
    const own = distances.slice(i * COUNTS.length, (i + 1) * COUNTS.length);
    return COUNTS[nearest(own)] === objects.length;
  }));
}

/** A sprite, and then any others. */
function withOthers(
  { rules: { sprites } }: Composition,
  sprite: number,
  draws: Draws,
): number[] {
  const others = Array.from(
    { length: OTHERS },
    () => (sprite + 1 + draws.below(Math.max(1, sprites.length - 1))) % sprites.length,
  );
  return [sprite, ...others];
}

/** The scene with its two objects in each other's place. */
function exchanged({ objects: [first, second], ...scene }: Scene): Scene {
  const at = (object: SceneObject, { x, y }: SceneObject) => ({ ...object, x, y });
  return { ...scene, objects: [at(first!, second!), at(second!, first!)] };
}

/** Whether both are right. */
function both([first, second]: readonly [boolean, boolean]): boolean {
  return first && second;
}

/** The share that is true; NaN of none. */
function share(values: readonly boolean[]): number {
  return values.filter(Boolean).length / values.length;
}
