/** Phrases about sprites, and captions made of them. */

import type { Draws } from "../base/draws.ts";
import type { Noun, SpriteItem } from "./items.ts";
import { PALETTE } from "./palette.ts";
import { article, OPENINGS, type Scale, SCALE_WORDS } from "./vocabulary.ts";

/** Joins what is not empty with spaces. */
export function phrase(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}

/** A phrase such as "a picture of" for a quarter of the captions, otherwise nothing. */
export function opening(draws: Draws): string {
  return draws.odds(0.25) ? draws.of(OPENINGS) : "";
}

/** A word for a colour of the palette, or nothing for null. */
export function colourWord(colour: number | null, draws: Draws): string {
  return colour === null ? "" : draws.of(PALETTE[colour]!.words);
}

/** Draws a name: half of the time the usual one, an eighth a tag, otherwise any of the other names. */
export function anyName(item: SpriteItem, draws: Draws): string {
  const at = draws.next();
  if (at < 1 / 8 && item.tags.length > 0) return draws.of(item.tags);
  if (at < 5 / 8 || item.names.length === 1) return item.names[0]!;
  return item.names[1 + draws.below(item.names.length - 1)]!;
}

/** Draws a noun of those that `fits` allows: half of the time the first. There must be one. */
export function anyNoun(
  item: SpriteItem,
  draws: Draws,
  fits: (noun: Noun) => boolean = () => true,
): Noun {
  const nouns = item.nouns.filter(fits);
  return draws.odds(0.5) ? nouns[0]! : draws.of(nouns);
}

/** Whether an article may stand before a name: by the list of nouns, or else if it looks like one thing. */
export function takesArticle(item: SpriteItem, name: string): boolean {
  const noun = item.nouns.find(({ text }) => text === name);
  if (noun) return noun.countable && !name.endsWith("ing");
  return item.names.includes(name) && !/(s|ing)$/.test(name) && name.split(" ").length < 4;
}

/** "a", "an" or, now and then, "the" and a space before a phrase, if `wanted`. */
export function withArticle(text: string, wanted: boolean, draws: Draws): string {
  if (!wanted) return text;
  return `${draws.odds(0.06) ? "the" : article(text)} ${text}`;
}

/** How a sprite is described. */
export interface Description {
  readonly colour: number | null;
  readonly scale: Scale;
  /** How often an article stands before it, where one may. */
  readonly articles: number;
}

/** Draws a phrase such as "a small red car". */
export function describe(
  item: SpriteItem,
  { colour, scale, articles }: Description,
  draws: Draws,
): string {
  const noun = anyNoun(item, draws).text;
  const text = phrase(draws.of(SCALE_WORDS[scale]), colourWord(colour, draws), noun);
  return withArticle(text, takesArticle(item, noun) && draws.odds(articles), draws);
}
