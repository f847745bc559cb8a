/** Which sprites and colours a scene may show. */

import { type Draws, Lottery } from "../base/draws.ts";
import type { HeldOut } from "./held_out.ts";
import { PALETTE } from "./palette.ts";
import type { Sprite } from "./sprite.ts";

/** What scenes are drawn from. */
export class SceneRules {
  /** Any sprite. */
  readonly any: Lottery;
  /** Those that another colour suits. */
  readonly recolourable: Lottery;
  /** Those with a noun. */
  readonly named: Lottery;
  /** Those that can be counted. */
  readonly countable: Lottery;
  /** Places of {@link HeldOut.colours}. */
  readonly heldOutColours: Lottery;
  /** Places of {@link HeldOut.pairs}. */
  readonly heldOutPairs: Lottery;

  /** Makes the lotteries of sprites, without what is held out. */
  constructor(readonly sprites: readonly Sprite[], readonly heldOut: HeldOut) {
    const common = sprites.map(({ item }) => (item.common ? 3 : 1) * (item.face ? 0.8 : 1));
    // faces and rare sprites seldom stand with others
    const named = sprites.map(({ item: { common, face, nouns } }) =>
      (common ? 3 : 0.6) * (face ? 0.5 : 1) * (nouns.length > 0 ? 1 : 0)
    );
    this.any = new Lottery(common);
    this.recolourable = new Lottery(common.map((w, i) => sprites[i]!.recolourable ? w : 0));
    this.named = new Lottery(named);
    this.countable = new Lottery(named.map((w, i) => isCountable(sprites[i]!) ? w : 0));
    this.heldOutColours = new Lottery(heldOut.colours.map(([sprite]) => common[sprite]!));
    this.heldOutPairs = new Lottery(heldOut.pairs.map(([a, b]) => named[a]! * named[b]!));
  }

  /** Draws a colour for a sprite this often, if one suits it and it is not held out; otherwise null. */
  colour(sprite: number, share: number, draws: Draws): number | null {
    const colour = draws.below(PALETTE.length);
    const wanted = draws.odds(share) && this.sprites[sprite]!.recolourable;
    return wanted && !this.heldOut.hasColour(sprite, colour) ? colour : null;
  }

  /** Draws two different sprites that are not held out. */
  pair(draws: Draws): [number, number] {
    const first = this.named.draw(draws);
    for (let i = 0; i < 16; i++) {
      const second = this.named.draw(draws);
      if (second !== first && !this.heldOut.hasPair(first, second)) return [first, second];
    }
    // nearly all are held out: the next that is not, or the same one twice
    const { length } = this.sprites;
    for (let step = 1; step < length; step++) {
      const second = (first + step) % length;
      const named = this.sprites[second]!.item.nouns.length > 0;
      if (named && !this.heldOut.hasPair(first, second)) return [first, second];
    }
    return [first, first];
  }
}

function isCountable({ item }: Sprite): boolean {
  return item.nouns.some(({ countable }) => countable);
}
