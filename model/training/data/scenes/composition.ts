/**
 * How often a model composes what its prompt says: an image is looked up among true images of other colours and other
 * objects, and is right if the nearest one shows what was asked for.
 */

import type { Device } from "../../../../engine/mod.ts";
import { Draws, STREAMS } from "../base/draws.ts";
import { WHITE } from "./backgrounds.ts";
import { type Arrangement, ARRANGEMENTS } from "./layout.ts";
import type { SceneComposer } from "./composer.ts";
import { type Images, shrink, squaredDistance } from "../base/measures.ts";
import { PALETTE } from "./palette.ts";
import type { SceneRules } from "./rules.ts";
import type { Scene, SceneObject } from "./scene.ts";

/** What true images are composed with. */
export interface Composition {
  /** Where it happens. */
  readonly device: Device;
  /** Which sprites and colours there are. */
  readonly rules: SceneRules;
  /** Makes the images, with the same sprites. */
  readonly composer: SceneComposer;
}

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
}

/** Pixels in which images are compared, and in which true ones are composed before they are averaged. */
const [SMALL, COMPOSED] = [16, 32];
/** Other objects that an image is compared with. */
const OTHERS = 40;
/** True images that are composed at a time. */
const AT_A_TIME = 2048;

/** Numbers of objects that are told apart. */
const COUNTS = [1, 2, 3, 4];
/** Sizes of a single object that are tried, mirrored and not. */
const SINGLE_SIZES = [0.72, 0.79, 0.86];
/** Sizes of one of two objects, and how far it may lie from the middle. */
const [PAIR_SIZES, PAIR_HEIGHTS] = [[0.44, 0.49], [-0.04, 0, 0.04]];

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
  const small = shrink(images, SMALL);
  const candidates = scenes.flatMap(({ objects }, i) => {
    const { sprite, colour } = objects[0]!;
    const draws = new Draws(seed, STREAMS.measured, 1, i);
    const others = Array.from({ length: OTHERS }, () => other(composition, sprite, draws));
    return [
      ...PALETTE.map((_, colour) => single(sprite, colour)),
      ...[sprite, ...others].map((sprite) => single(sprite, colour)),
    ];
  });
  const distances = await lookUp(composition, candidates, (i) => {
    return { images: small, image: Math.floor(i / (PALETTE.length + OTHERS + 1)) };
  });
  let [colour, object, both] = [0, 0, 0];
  scenes.forEach(({ objects }, i) => {
    const own = distances.slice(
      i * (PALETTE.length + OTHERS + 1),
      (i + 1) * (PALETTE.length + OTHERS + 1),
    );
    const rightColour = nearest(own.slice(0, PALETTE.length)) === objects[0]!.colour;
    const rightObject = nearest(own.slice(PALETTE.length)) === 0;
    colour += Number(rightColour);
    object += Number(rightObject);
    both += Number(rightColour && rightObject);
  });
  const share = (count: number) => count / scenes.length;
  return { colour: share(colour), object: share(object), both: share(both) };
}

/**
 * Looks up both halves of images of two objects, the first at the left.
 *
 * @param images In the order of `scenes`; their size must be a multiple of 16.
 */
export async function pairAccuracy(
  composition: Composition,
  images: Images,
  scenes: readonly Scene[],
  seed: bigint = 0n,
): Promise<PairAccuracy> {
  const small = shrink(images, SMALL);
  const halves = scenes.flatMap(({ objects }, i) =>
    objects.slice(0, 2).map(({ sprite }, half) => ({ sprite, image: i, half }))
  );
  const candidates = halves.flatMap(({ sprite, half }, i) => {
    const draws = new Draws(seed, STREAMS.measured, 2, i);
    const others = Array.from({ length: OTHERS }, () => other(composition, sprite, draws));
    return [sprite, ...others].map((sprite) => oneOfTwo(sprite, half));
  });
  const distances = await lookUp(composition, candidates, (i) => {
    const { image, half } = halves[Math.floor(i / (OTHERS + 1))]!;
    return { images: small, image, left: half * SMALL / 2, right: (half + 1) * SMALL / 2 };
  });
  const right = halves.map((_, i) =>
    nearest(distances.slice(i * (OTHERS + 1), (i + 1) * (OTHERS + 1))) === 0
  );
  const both = scenes.filter((_, i) => right[2 * i] && right[2 * i + 1]).length;
  return {
    one: right.filter(Boolean).length / right.length,
    both: both / scenes.length,
  };
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
  const small = shrink(images, SMALL);
  const candidates = scenes.flatMap(({ objects }) => {
    const { sprite, colour } = objects[0]!;
    return COUNTS.map((count) => several(sprite, colour, count));
  });
  const distances = await lookUp(composition, candidates, (i) => {
    return { images: small, image: Math.floor(i / COUNTS.length) };
  });
  const right = scenes.filter(({ objects }, i) => {
    const own = distances.slice(i * COUNTS.length, (i + 1) * COUNTS.length);
    return COUNTS[nearest(own)] === objects.length;
  });
  return right.length / scenes.length;
}

/** Any other sprite. */
function other({ rules: { sprites } }: Composition, sprite: number, draws: Draws): number {
  return (sprite + 1 + draws.below(Math.max(1, sprites.length - 1))) % sprites.length;
}

/** Ways to show something: an image is as near as the nearest of them. */
type Ways = readonly Scene[];

function single(sprite: number, colour: number | null): Ways {
  return SINGLE_SIZES.flatMap((size) => turned({ sprite, colour, x: 0.5, y: 0.5, size }));
}

function oneOfTwo(sprite: number, half: number): Ways {
  return PAIR_SIZES.flatMap((size) =>
    PAIR_HEIGHTS.flatMap((up) =>
      turned({ sprite, colour: null, x: half ? 0.745 : 0.255, y: 0.5 + up, size })
    )
  );
}

function several(sprite: number, colour: number | null, count: number): Ways {
  const arrangements = [
    ...ARRANGEMENTS[count] ?? [],
    ...(ARRANGEMENTS[count + 1] ?? []).flatMap(lackingOne),
  ];
  const ways = arrangements.flatMap(({ places, sizes: [least, most] }) =>
    [0.3, 0.7].flatMap((t) => {
      const size = least + t * (most - least);
      return turned(...places.map(([x, y]) => ({ sprite, colour, x, y, size })));
    })
  );
  return count === 1 ? [...ways, ...single(sprite, colour)] : ways;
}

/** Arrangements of all places but one: models draw them too. */
function lackingOne({ places, sizes }: Arrangement): Arrangement[] {
  return places.map((_, lacking) => ({ places: places.filter((_, i) => i !== lacking), sizes }));
}

/** A scene of some objects, and another with their mirror images. */
function turned(...objects: readonly Omit<SceneObject, "turn" | "mirrored">[]): Scene[] {
  return [false, true].map((mirrored) => ({
    caption: "",
    background: WHITE,
    objects: objects.map((object) => ({ ...object, turn: 0, mirrored })),
  }));
}

/** Where a candidate is looked up. */
interface Query {
  readonly images: Images;
  readonly image: number;
  /** Columns that count; all if absent. */
  readonly left?: number;
  readonly right?: number;
}

/** The distance of each candidate's nearest way from the image that it is a candidate for. */
async function lookUp(
  { device, composer }: Composition,
  candidates: readonly Ways[],
  query: (candidate: number) => Query,
): Promise<number[]> {
  const distances: number[] = [];
  for (let start = 0; start < candidates.length;) {
    const scenes: Scene[] = [];
    const places: number[] = [];
    for (let i = start; i < candidates.length && scenes.length < AT_A_TIME; i++) {
      places.push(scenes.length);
      scenes.push(...candidates[i]!);
    }
    const tensor = composer.compose(scenes, COMPOSED);
    const values = await device.read(tensor) as Float32Array;
    tensor.dispose();
    const truths = shrink({ values, size: COMPOSED }, SMALL);
    places.forEach((place, i) => {
      const { images, image, left, right } = query(start + i);
      const all = candidates[start + i]!.map((_, way) =>
        squaredDistance(images, image, truths, place + way, left, right)
      );
      distances.push(Math.min(...all));
    });
    start += places.length;
  }
  return distances;
}

/** The place of the smallest number. */
function nearest(distances: readonly number[]): number {
  return distances.indexOf(Math.min(...distances));
}
