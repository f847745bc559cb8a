/** Draws scenes: which sprites, where, how large, in which colours, on what, and the caption that says so. */

import type { Draws } from "../base/draws.ts";
import { drawBackground, WHITE } from "./backgrounds.ts";
import * as captions from "./captions.ts";
import type { SceneRules } from "./rules.ts";
import type { Background, Scene, SceneObject } from "./scene.ts";
import { NUMBER_WORDS, type Relation, RELATION_WORDS, type Scale } from "./vocabulary.ts";

/** Draws one kind of scene. */
type Kind = (rules: SceneRules, draws: Draws) => Scene;

/** Kinds of scenes, and how many of a hundred are of each. */
const KINDS: readonly (readonly [share: number, kind: Kind])[] = [
  [24, named],
  [26, coloured],
  [12, inPlace],
  [24, pair],
  [5, counted(2)],
  [5, counted(3)],
  [4, counted(4)],
];

/** Sizes of a single object, and how far its centre may lie from the middle. */
const SINGLE: Readonly<Record<Scale, { size: [number, number]; away: number }>> = {
  small: { size: [0.34, 0.46], away: 0.14 },
  usual: { size: [0.7, 0.88], away: 0.05 },
  big: { size: [0.98, 1.08], away: 0.02 },
};

/** Draws a scene for training: nothing in it is held out. */
export function drawScene(rules: SceneRules, draws: Draws): Scene {
  let at = draws.next() * 100;
  for (const [share, kind] of KINDS) {
    if (at < share) return kind(rules, draws);
    at -= share;
  }
  return named(rules, draws);
}

/** An object on white, called by any of its names. */
function named(rules: SceneRules, draws: Draws): Scene {
  const sprite = rules.any.draw(draws);
  const { item } = rules.sprites[sprite]!;
  const name = captions.anyName(item, draws);
  const article = captions.takesArticle(item, name) && draws.odds(0.5);
  return {
    caption: captions.phrase(
      captions.opening(draws),
      captions.withArticle(name, article, draws),
    ),
    background: WHITE,
    objects: [placed(rules, draws, {
      sprite,
      colour: null,
      x: draws.between(0.47, 0.53),
      y: draws.between(0.47, 0.53),
      size: draws.between(0.82, 0.94),
    })],
  };
}

/** An object in a colour. */
function coloured(rules: SceneRules, draws: Draws): Scene {
  if (!rules.recolourable.possible) return named(rules, draws);
  const sprite = rules.recolourable.draw(draws);
  return single(rules, draws, sprite, rules.colour(sprite, 1, draws), 0.22);
}

/** An object on a background. */
function inPlace(rules: SceneRules, draws: Draws): Scene {
  if (!rules.named.possible) return named(rules, draws);
  const sprite = rules.named.draw(draws);
  return single(rules, draws, sprite, rules.colour(sprite, 0.25, draws), 1);
}

function single(
  rules: SceneRules,
  draws: Draws,
  sprite: number,
  colour: number | null,
  backgrounds: number,
): Scene {
  const scale = drawScale(draws, 0.1);
  const { size: [least, most], away } = SINGLE[scale];
  const background = sometimes(backgrounds, draws, [colour]);
  const description = { colour, scale, articles: 0.8 };
  return {
    caption: captions.phrase(
      captions.opening(draws),
      captions.describe(rules.sprites[sprite]!.item, description, draws),
      background.phrase,
    ),
    background,
    objects: [placed(rules, draws, {
      sprite,
      colour,
      x: 0.5 + draws.between(-away, away),
      y: 0.5 + draws.between(-away, away),
      size: draws.between(least, most),
    })],
  };
}

/** Where the first of two objects lies, seen from the middle; the second lies opposite. */
export const SIDES: Readonly<Record<Relation, readonly [x: number, y: number]>> = {
  beside: [-1, 0],
  left: [-1, 0],
  right: [1, 0],
  above: [0, -1],
  below: [0, 1],
};
/** How far the centres of two objects lie from the middle, as a share of the image's side. */
export const AWAY = 0.245;
/** Relations that say which object lies where. */
export const RELATIONS = ["left", "right", "above", "below"] as const;
/** A side of an image. */
export type Side = typeof RELATIONS[number];

/** Two objects beside or above each other. */
function pair(rules: SceneRules, draws: Draws): Scene {
  if (!rules.named.possible) return named(rules, draws);
  const relation = draws.odds(0.5) ? "beside" : draws.of(RELATIONS);
  const both = rules.pair(draws).map((sprite) => ({
    sprite,
    colour: rules.colour(sprite, 0.4, draws),
    scale: drawScale(draws, 0.07),
  }));
  const background = sometimes(0.3, draws, both.map(({ colour }) => colour));
  const said = both.map(({ sprite, colour, scale }) =>
    captions.describe(rules.sprites[sprite]!.item, { colour, scale, articles: 0.85 }, draws)
  );
  return {
    caption: captions.phrase(
      captions.opening(draws),
      said[0]!,
      draws.of(RELATION_WORDS[relation]),
      said[1]!,
      background.phrase,
    ),
    background,
    objects: twoObjects(rules, draws, both, relation),
  };
}

/** Lays two objects out. */
export function twoObjects(
  rules: SceneRules,
  draws: Draws,
  both: readonly { sprite: number; colour: number | null; scale: Scale }[],
  relation: Relation,
): SceneObject[] {
  const base = draws.between(0.43, 0.52);
  const factor = { small: 0.58, usual: 1, big: 1.18 };
  const [right, down] = SIDES[relation];
  return both.map(({ sprite, colour, scale }, i) => {
    const sign = i === 0 ? 1 : -1;
    // more freedom across the line on which the two stand
    const along = draws.between(-0.025, 0.025), across = draws.between(-0.0625, 0.0625);
    return placed(rules, draws, {
      sprite,
      colour,
      x: 0.5 + sign * right * AWAY + (right ? along : across),
      y: 0.5 + sign * down * AWAY + (right ? across : along),
      size: base * factor[scale],
    });
  });
}

/** Where the second of two objects lies. */
export const OPPOSITE: Readonly<Record<Side, Side>> = {
  left: "right",
  right: "left",
  above: "below",
  below: "above",
};

/** How the first of two objects lies to the second, by their centres. */
export function relationOf([first, second]: readonly SceneObject[]): Side {
  const [right, down] = [first!.x - second!.x, first!.y - second!.y];
  if (Math.abs(right) > Math.abs(down)) return right < 0 ? "left" : "right";
  return down < 0 ? "above" : "below";
}

/** Where objects lie that are counted, and their sizes. */
export interface Arrangement {
  readonly places: readonly (readonly [x: number, y: number])[];
  readonly sizes: readonly [least: number, most: number];
}

/** By the number of objects; the second is drawn in four of ten. */
export const ARRANGEMENTS: Readonly<Record<number, readonly Arrangement[]>> = {
  2: [{ places: [[0.26, 0.5], [0.74, 0.5]], sizes: [0.43, 0.5] }],
  3: [
    { places: [[0.5, 0.27], [0.26, 0.73], [0.74, 0.73]], sizes: [0.41, 0.48] },
    { places: [[0.18, 0.5], [0.5, 0.5], [0.82, 0.5]], sizes: [0.29, 0.32] },
  ],
  4: [{
    places: [[0.27, 0.27], [0.73, 0.27], [0.27, 0.73], [0.73, 0.73]],
    sizes: [0.41, 0.48],
  }],
};

/** Several objects of one kind. */
function counted(count: number): Kind {
  return (rules, draws) => {
    if (!rules.countable.possible) return named(rules, draws);
    const sprite = rules.countable.draw(draws);
    const colour = rules.colour(sprite, 0.45, draws);
    const background = sometimes(0.3, draws, [colour]);
    const noun = captions.anyNoun(rules.sprites[sprite]!.item, draws, (noun) => noun.countable);
    return {
      caption: captions.phrase(
        NUMBER_WORDS[count]!,
        captions.colourWord(colour, draws),
        noun.plural,
        background.phrase,
      ),
      background,
      objects: severalObjects(rules, draws, sprite, colour, count),
    };
  };
}

/** Lays several objects of one kind out. */
export function severalObjects(
  rules: SceneRules,
  draws: Draws,
  sprite: number,
  colour: number | null,
  count: number,
): SceneObject[] {
  const [first, second = first!] = ARRANGEMENTS[count]!;
  const { places, sizes: [least, most] } = draws.odds(0.4) ? second : first!;
  const base = draws.between(least, most);
  return places.map(([x, y]) =>
    placed(rules, draws, {
      sprite,
      colour,
      x: x + draws.between(-0.02, 0.02),
      y: y + draws.between(-0.02, 0.02),
      size: base * draws.between(0.94, 1.06),
    })
  );
}

/** Turns an object by up to 8 degrees, and mirrors half of those that may be. */
export function placed(
  { sprites }: SceneRules,
  draws: Draws,
  object: Omit<SceneObject, "turn" | "mirrored">,
): SceneObject {
  const turn = draws.between(-8, 8) * Math.PI / 180;
  const mirrored = draws.odds(0.5) && sprites[object.sprite]!.mirrorable;
  return { ...object, turn, mirrored };
}

function drawScale(draws: Draws, share: number): Scale {
  const at = draws.next();
  return at < share ? "small" : at < 2 * share ? "big" : "usual";
}

/** A background this often, otherwise white. */
function sometimes(share: number, draws: Draws, colours: readonly (number | null)[]): Background {
  if (!draws.odds(share)) return WHITE;
  return drawBackground(draws, colours.filter((colour) => colour !== null));
}
