/** How scenes lie in memory for compose_scenes.wgsl. */

/** A colour: red, green and blue from 0 to 1. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** A disc, or a ring if `strength` is below 0: centre and radius as shares of the image's side. */
export interface SceneDot {
  /** The centre, from the left. */
  readonly x: number;
  /** The centre, from the top. */
  readonly y: number;
  /** Its radius. */
  readonly radius: number;
  /** How white it is, −1 to 1. */
  readonly strength: number;
}

/** A sprite in a scene. */
export interface SceneSprite {
  /** The first texel of the sprite's level. */
  readonly first: number;
  /** Texels across and down of that level. */
  readonly side: number;
  /** Two rows: from x, y and 1, as shares of the image's side, to the place in texels of the level. */
  readonly matrix: readonly [readonly number[], readonly number[]];
  /** The new colour and the lightness that takes it, above 0; null leaves the sprite as it is. */
  readonly recolour: { readonly colour: Rgb; readonly lightness: number } | null;
  /** Centre and radii as shares of the image's side, and how dark it is from 0 to 1. */
  readonly shadow: {
    readonly centre: readonly [x: number, y: number];
    readonly radii: readonly [x: number, y: number];
    readonly strength: number;
  };
}

/** A scene that is ready to be composed. */
export interface PlacedScene {
  /** Colours of the sky, of a band below the horizon and of the ground, each at its top and its bottom. */
  readonly colours: readonly [sky: [Rgb, Rgb], band: [Rgb, Rgb], ground: [Rgb, Rgb]];
  /** Where the sky ends, as a share of the height; above 1 there is nothing else. */
  readonly horizon: number;
  /** Where the band ends. */
  readonly shore: number;
  readonly dots: readonly SceneDot[];
  /** From back to front. */
  readonly sprites: readonly SceneSprite[];
}

/** Vectors of four words that a scene takes, its sprites and dots apart. */
export const HEAD = 7;
/** Those of a sprite. */
export const OBJECT = 5;

/** Lays scenes out: first what each has once, then all sprites, then all dots. */
export function packScenes(scenes: readonly PlacedScene[]): Uint32Array<ArrayBuffer> {
  const objects = scenes.reduce((sum, { sprites }) => sum + sprites.length, 0);
  const dots = scenes.reduce((sum, { dots }) => sum + dots.length, 0);
  const words = new Uint32Array(4 * (scenes.length * HEAD + objects * OBJECT + dots));
  const floats = new Float32Array(words.buffer);
  let object = scenes.length * HEAD;
  let dot = object + objects * OBJECT;
  scenes.forEach(({ colours, horizon, shore, sprites, dots }, i) => {
    const head = 4 * i * HEAD;
    colours.flat().forEach((rgb, k) => floats.set(rgb, head + 4 * k));
    [floats[head + 3], floats[head + 7]] = [horizon, shore];
    words.set([object, sprites.length, dot, dots.length], head + 4 * (HEAD - 1));
    for (const sprite of sprites) {
      packSprite(sprite, floats, words, 4 * object);
      object += OBJECT;
    }
    for (const { x, y, radius, strength } of dots) floats.set([x, y, radius, strength], 4 * dot++);
  });
  return words;
}

function packSprite(
  { first, side, matrix, recolour, shadow }: SceneSprite,
  floats: Float32Array,
  words: Uint32Array,
  at: number,
): void {
  floats.set(matrix[0], at);
  words[at + 3] = first;
  floats.set([...matrix[1], side], at + 4);
  if (recolour) floats.set([...recolour.colour, recolour.lightness], at + 8);
  const [x, y] = shadow.radii;
  floats.set([...shadow.centre, 1 / x, 1 / y, shadow.strength], at + 12);
}
