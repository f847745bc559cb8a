/** Scenes that show what training never did, or what is asked for when a model is measured: plain ones, on white. */

import { Draws, type Lottery, STREAMS } from "../base/draws.ts";
import { WHITE } from "./backgrounds.ts";
import * as captions from "./captions.ts";
import { placed, RELATIONS, severalObjects, twoObjects } from "./layout.ts";
import type { SceneRules } from "./rules.ts";
import type { Scene } from "./scene.ts";
import { NUMBER_WORDS, type Relation, RELATION_WORDS } from "./vocabulary.ts";

/** What is measured. */
export type Measured = "colours" | "pairs" | "relations" | "counts";

/** Draws the scene of image `i`. */
type Kind = (draws: Draws, i: number) => Scene;

/** A colour and an object that training never showed together: "a yellow elephant". There must be one. */
export function heldOutColour(rules: SceneRules, draws: Draws): Scene {
  const [sprite, colour] = rules.heldOut.colours[rules.heldOutColours.draw(draws)]!;
  const { item } = rules.sprites[sprite]!;
  return {
    caption: captions.describe(item, { colour, scale: "usual", articles: 1 }, draws),
    background: WHITE,
    objects: [placed(rules, draws, {
      sprite,
      colour,
      x: 0.5 + draws.between(-0.05, 0.05),
      y: 0.5 + draws.between(-0.05, 0.05),
      size: draws.between(0.7, 0.88),
    })],
  };
}

/**
 * Two objects that training never showed together: "a cat and a rocket", side by side, or as a relation says, "a cat
 * above a rocket". There must be two.
 */
export function heldOutPair(
  rules: SceneRules,
  draws: Draws,
  relation: Relation = "beside",
): Scene {
  const pair = rules.heldOut.pairs[rules.heldOutPairs.draw(draws)]!;
  const both = (draws.odds(0.5) ? pair : pair.toReversed())
    .map((sprite) => ({ sprite, colour: null, scale: "usual" as const }));
  const said = both.map(({ sprite, ...how }) =>
    captions.describe(rules.sprites[sprite]!.item, { ...how, articles: 1 }, draws)
  );
  const between = relation === "beside" ? "and" : draws.of(RELATION_WORDS[relation]);
  return {
    caption: `${said[0]} ${between} ${said[1]}`,
    background: WHITE,
    objects: twoObjects(rules, draws, both, relation),
  };
}

/** Two to four objects of one kind: "three stars". One must be countable. */
export function countedScene(rules: SceneRules, draws: Draws): Scene {
  const count = 2 + draws.below(3);
  const sprite = rules.countable.draw(draws);
  const noun = rules.sprites[sprite]!.item.nouns.find(({ countable }) => countable)!;
  return {
    caption: `${NUMBER_WORDS[count]} ${noun.plural}`,
    background: WHITE,
    objects: severalObjects(rules, draws, sprite, null, count),
  };
}

/**
 * Makes scenes to measure a model by; the same for the same seed. A model gets their captions, and {@link SceneComposer}
 * makes the true images. "relations" are the objects of "pairs", left of, right of, above and below each other in turn.
 * The list is empty if nothing is held out, or nothing can be counted.
 */
export function scenesToMeasure(
  rules: SceneRules,
  what: Measured,
  count: number,
  seed: bigint,
): Scene[] {
  const kinds: Readonly<Record<Measured, readonly [Lottery, Kind]>> = {
    colours: [rules.heldOutColours, (draws) => heldOutColour(rules, draws)],
    pairs: [rules.heldOutPairs, (draws) => heldOutPair(rules, draws)],
    relations: [
      rules.heldOutPairs,
      (draws, i) => heldOutPair(rules, draws, RELATIONS[i % RELATIONS.length]),
    ],
    counts: [rules.countable, (draws) => countedScene(rules, draws)],
  };
  const [lottery, draw] = kinds[what];
  if (!lottery.possible) return [];
  return Array.from(
    { length: count },
    (_, i) => draw(new Draws(seed, STREAMS.measured, 0, i), i),
  );
}
