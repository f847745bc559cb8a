/** Combinations that training never shows, so that they can be asked for afterwards. */

import { FileError, isObject, quote } from "../../../../engine/mod.ts";
import { parseJson } from "./items.ts";
import { PALETTE, paletteIndex } from "./palette.ts";
import type { Sprite } from "./sprite.ts";

/** What is kept from training. */
export class HeldOut {
  readonly #colours: Set<number>;
  readonly #pairs: Set<number>;

  /**
   * Keeps these from training.
   *
   * @param colours Sprites with colours of the palette that they never get.
   * @param pairs Two sprites that are never in one scene.
   */
  constructor(
    readonly colours: readonly (readonly [sprite: number, colour: number])[],
    readonly pairs: readonly (readonly [sprite: number, other: number])[],
  ) {
    this.#colours = new Set(colours.map(([sprite, colour]) => sprite * PALETTE.length + colour));
    this.#pairs = new Set(pairs.map(([a, b]) => pairKey(a, b)));
  }

  /** Whether a sprite never gets a colour. */
  hasColour(sprite: number, colour: number): boolean {
    return this.#colours.has(sprite * PALETTE.length + colour);
  }

  /** Whether two sprites are never in one scene. */
  hasPair(a: number, b: number): boolean {
    return this.#pairs.has(pairKey(a, b));
  }
}

function pairKey(a: number, b: number): number {
  return Math.min(a, b) * 2 ** 26 + Math.max(a, b);
}

/**
 * Reads held_out.json: `colours` lists colours by the first name of a sprite, and `pairs[i]` the places of sprites after
 * sprite i. Colours that a sprite cannot be given, or has anyway, are left out.
 *
 * @param text The file's text.
 * @param name The file's name, for messages.
 * @throws {FileError} `bad-captions`: it is not JSON, or names what there is not.
 */
export function readHeldOut(text: string, name: string, sprites: readonly Sprite[]): HeldOut {
  const refuse = (why: string): never => {
    throw new FileError("bad-captions", `Cannot read ${quote(name)}: ${why}`);
  };
  const json = parseJson(text, name);
  const { colours, pairs } = isObject(json) ? json : refuse("it is not an object");
  if (!isObject(colours)) return refuse("colours must be an object");
  if (!Array.isArray(pairs)) return refuse("pairs must be a list of lists");
  // only some of the sprites may be in use
  const byName = new Map(sprites.map(({ item }, i) => [item.names[0]!, i]));
  const byPlace = new Map(sprites.map(({ place }, i) => [place, i]));
  const held = Object.entries(colours).flatMap(([sprite, names]) => {
    if (!Array.isArray(names)) return refuse(`colours of ${quote(sprite)} must be a list`);
    const i = byName.get(sprite);
    if (i === undefined) return [];
    return names.flatMap((colour): [number, number][] => {
      const index = typeof colour === "string" ? paletteIndex(colour) : -1;
      if (index < 0) return refuse(`colours of ${quote(sprite)} must be of the palette`);
      const possible = sprites[i]!.recolourable && sprites[i]!.colour !== index;
      return possible ? [[i, index]] : [];
    });
  });
  const together = pairs.flatMap((others, place) => {
    if (!Array.isArray(others)) return refuse(`pairs[${place}] must be a list`);
    const i = byPlace.get(place);
    return others.flatMap((other): [number, number][] => {
      if (!Number.isInteger(other) || other < 0 || other === place) {
        return refuse(`pairs[${place}] must list other sprites`);
      }
      const j = byPlace.get(other);
      return i === undefined || j === undefined ? [] : [[i, j]];
    });
  });
  return new HeldOut(held, together);
}
