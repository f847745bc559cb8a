/** The words of captions, apart from the names of sprites. A word that stands twice is drawn twice as often. */

/** How two sprites lie to each other. */
export type Relation = "beside" | "left" | "right" | "above" | "below";

/** What stands between two sprites. */
export const RELATION_WORDS: Readonly<Record<Relation, readonly string[]>> = {
  beside: ["and", "and", "and", "and", "and", "and", "next to", "beside"],
  left: ["left of", "to the left of"],
  right: ["right of", "to the right of"],
  above: ["above", "above", "over", "on top of"],
  below: ["below", "below", "under", "beneath"],
};

/** How large a sprite is. */
export type Scale = "small" | "usual" | "big";

/** What stands before a sprite of another size. */
export const SCALE_WORDS: Readonly<Record<Scale, readonly string[]>> = {
  small: ["small", "small", "little", "tiny"],
  usual: [""],
  big: ["big", "big", "large", "huge"],
};

/** Numbers that scenes show. */
export const NUMBER_WORDS: Readonly<Record<number, string>> = { 2: "two", 3: "three", 4: "four" };

/** What a caption may begin with, now and then. */
export const OPENINGS: readonly string[] = [
  "a picture of",
  "an image of",
  "a drawing of",
  "an emoji of",
];

/** What the background is between two colours. */
export const GRADIENT_WORDS: readonly ((a: string, b: string) => string)[] = [
  (a, b) => `on ${article(a)} ${a} and ${b} gradient`,
  (a, b) => `on ${article(a)} ${a} to ${b} gradient`,
  (a, b) => `on ${article(a)} ${a} and ${b} background`,
  (a, b) => `on ${article(a)} ${a} and ${b} gradient background`,
];

/** Words in the names of sprites that are something else in a mirror. */
export const MIRRORED_MEANS_OTHER: readonly string[] = [
  "1234",
  "8 ball",
  "arrow",
  "atm",
  "bank",
  "calendar",
  "check",
  "clock",
  "convenience",
  "dice",
  "dollar",
  "hospital",
  "joker",
  "keyboard",
  "left",
  "love hotel",
  "medal",
  "newspaper",
  "number",
  "piano",
  "post office",
  "question",
  "right",
  "stop",
  "tear-off",
  "watch",
  "zzz",
];

/** Beginnings that are written with a vowel and spoken with a consonant. */
const SPOKEN_CONSONANT = ["eu", "ewe", "one", "uni", "ufo", "us"];

/** "a" or "an" before a phrase. */
export function article(phrase: string): "a" | "an" {
  if (SPOKEN_CONSONANT.some((start) => phrase.startsWith(start))) return "a";
  return /^([aeiou]|8(\b|\d))/.test(phrase) ? "an" : "a";
}
