/** Ways to show something: the sizes and places of true images that a model's are compared with. */

import { WHITE } from "./backgrounds.ts";
import { type Arrangement, ARRANGEMENTS, AWAY, type Side, SIDES } from "./layout.ts";
import type { Scene, SceneObject } from "./scene.ts";

/** Sizes of a single object that are tried, mirrored and not. */
const SINGLE_SIZES = [0.72, 0.79, 0.86];
/** Sizes of one of two objects, and how far it may lie from the line on which both stand. */
const [PAIR_SIZES, PAIR_OFFSETS] = [[0.44, 0.49], [-0.04, 0, 0.04]];

/** Ways to show something: an image is as near as the nearest of them. */
export type Ways = readonly Scene[];

/** An object alone, in the middle. */
export function single(sprite: number, colour: number | null): Ways {
  return SINGLE_SIZES.flatMap((size) => turned({ sprite, colour, x: 0.5, y: 0.5, size }));
}

/** An object at a side, without the other one. */
export function oneOfTwo(sprite: number, side: Side): Ways {
  const [right, down] = SIDES[side];
  return PAIR_SIZES.flatMap((size) =>
    PAIR_OFFSETS.flatMap((across) => {
      const x = 0.5 + (right ? AWAY * right : across);
      const y = 0.5 + (down ? AWAY * down : across);
      return turned({ sprite, colour: null, x, y, size });
    })
  );
}

/** A number of objects of one kind; four at most. */
export function several(sprite: number, colour: number | null, count: number): Ways {
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
