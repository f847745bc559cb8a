/** Sprites: small images with coverage, in three sizes, and what is known about each. */

import { FileError, quote } from "../../../../engine/mod.ts";
import { fromFileUrl, join } from "../../../../deps/@std/path.ts";
import { readSmallFile } from "../../../checkpoint/files.ts";
import { openImage } from "../../../image/read_image.ts";
import { dominantColour } from "./dominant_colour.ts";
import { HeldOut, readHeldOut } from "./held_out.ts";
import { readItems, type SpriteItem, type SpriteSheet } from "./items.ts";
import type { Sprite } from "./sprite.ts";
import { MIRRORED_MEANS_OTHER } from "./vocabulary.ts";

/** Sprites and their texels. */
export interface SpriteSet {
  /** The sprites. */
  readonly sprites: readonly Sprite[];
  /** What of them is kept from training. */
  readonly heldOut: HeldOut;
  /** Texels across and down of the largest level. */
  readonly tile: number;
  /** Bytes red, green, blue and coverage: of each sprite three levels, each half as wide as the one before. */
  readonly rgba: Uint8Array<ArrayBuffer>;
  /** A byte for each texel: how much it has of the sprite's own colour. */
  readonly shares: Uint8Array<ArrayBuffer>;
}

/** Levels of a sprite. */
export const LEVELS = 3;
/** The least share of its own colour for which a sprite is recoloured. */
const RECOLOURABLE = 0.42;
/** Groups whose sprites are scenes in themselves. */
const SCENIC = ["place-geographic", "flag"];
const MOST_BYTES = 2 ** 28;

/** Texels of all levels of a sprite whose largest has `tile` across. */
export function texelsOf(tile: number): number {
  return tile * tile * 21 / 16;
}

/** The first texel of a level in a sprite, and its texels across. */
export function levelOf(tile: number, level: number): { offset: number; side: number } {
  const offset = [0, tile * tile, tile * tile * 5 / 4][level]!;
  return { offset, side: tile / 2 ** level };
}

/**
 * Opens a folder of sprites: captions.json, sprites_rgb.jpg, sprites_alpha.png, and held_out.json if there is one.
 *
 * @param folder Its path, or its file: URL.
 * @param most Use so many sprites of those that people often speak of, spread over the list; all if absent.
 * @throws {FileError} A file is missing or damaged, or the sheets are too small for the captions.
 */
export async function openSprites(folder: string | URL, most?: number): Promise<SpriteSet> {
  const root = typeof folder === "string" ? folder : fromFileUrl(folder);
  const path = (name: string) => join(root, name);
  const read = (name: string) => readSmallFile(path(name), MOST_BYTES);
  const text = async (name: string) => new TextDecoder().decode(await read(name));
  const sheet = readItems(await text("captions.json"), path("captions.json"));
  const [colours, coverage] = await Promise.all(
    ["sprites_rgb.jpg", "sprites_alpha.png"].map(async (name) => {
      const image = await (await openImage(await read(name), path(name))).image();
      checkSize(image, sheet, path(name));
      return image;
    }),
  );
  const chosen = choose(sheet, most);
  const { tile, columns } = sheet;
  const size = texelsOf(tile);
  const rgba = new Uint8Array(chosen.length * size * 4);
  const shares = new Uint8Array(Math.ceil(chosen.length * size / 4) * 4);
  const sprites = chosen.map((place, i): Sprite => {
    const own = rgba.subarray(4 * i * size, 4 * (i + 1) * size);
    const [left, top] = [place % columns * tile, Math.floor(place / columns) * tile];
    for (let y = 0, to = 0; y < tile; y++) {
      let from = 4 * ((top + y) * colours!.width + left);
      for (let x = 0; x < tile; x++, to += 4, from += 4) {
        for (let c = 0; c < 3; c++) own[to + c] = colours!.rgba[from + c]!;
        own[to + 3] = coverage!.rgba[4 * ((top + y) * coverage!.width + left + x)]!;
      }
    }
    return analyse(
      sheet.items[place]!,
      place,
      own,
      shares.subarray(i * size, (i + 1) * size),
      tile,
    );
  });
  const heldOut = await text("held_out.json").then(
    (json) => readHeldOut(json, path("held_out.json"), sprites),
    (error) => {
      if (error instanceof FileError && error.code === "file-not-found") return new HeldOut([], []);
      throw error;
    },
  );
  return { sprites, heldOut, tile, rgba, shares };
}

/** Places of the tiles to use. */
function choose({ items }: SpriteSheet, most?: number): number[] {
  const all = items.map((_, i) => i);
  if (most === undefined) return all;
  const common = all.filter((i) => items[i]!.common);
  const count = Math.min(most, common.length);
  return Array.from({ length: count }, (_, i) => common[Math.floor(i * common.length / count)]!);
}

function checkSize(
  { width, height }: { width: number; height: number },
  { tile, columns, items }: SpriteSheet,
  name: string,
): void {
  const rows = Math.ceil(items.length / columns);
  if (width >= columns * tile && height >= rows * tile) return;
  throw new FileError(
    "bad-size",
    `Cannot use ${quote(name)}: it has ${width}x${height} pixels, ${items.length} tiles of ` +
      `${tile} need ${columns * tile}x${rows * tile}`,
  );
}

/** Analyses a sprite whose largest level is there, and makes the others. */
function analyse(
  item: SpriteItem,
  place: number,
  rgba: Uint8Array,
  shares: Uint8Array,
  tile: number,
): Sprite {
  const main = dominantColour(rgba.subarray(0, 4 * tile * tile), shares.subarray(0, tile * tile));
  for (let level = 1; level < LEVELS; level++) halve(rgba, shares, tile, level);
  const recolourable = main.share > RECOLOURABLE && item.nouns.length > 0 && !item.person &&
    !SCENIC.includes(item.group);
  const name = item.names.join(" ");
  return {
    ...main,
    item,
    place,
    recolourable,
    mirrorable: !MIRRORED_MEANS_OTHER.some((word) => name.includes(word)),
  };
}

/** Makes a level of the one before: means of 2 x 2 texels, weighted by coverage. */
function halve(rgba: Uint8Array, shares: Uint8Array, tile: number, level: number): void {
  const from = levelOf(tile, level - 1);
  const to = levelOf(tile, level);
  const sums = new Float64Array(5); // red, green, blue, coverage, share
  for (let i = 0; i < to.side * to.side; i++) {
    const [x, y] = [i % to.side, Math.floor(i / to.side)];
    sums.fill(0);
    for (let k = 0; k < 4; k++) {
      const at = from.offset + (2 * y + (k >> 1)) * from.side + 2 * x + (k & 1);
      const coverage = rgba[4 * at + 3]!;
      for (let c = 0; c < 3; c++) sums[c]! += coverage * rgba[4 * at + c]!;
      sums[3]! += coverage;
      sums[4]! += coverage * shares[at]!;
    }
    const [at, total] = [to.offset + i, sums[3]! || 1];
    for (let c = 0; c < 3; c++) rgba[4 * at + c] = Math.round(sums[c]! / total);
    rgba[4 * at + 3] = Math.round(sums[3]! / 4);
    shares[at] = Math.round(sums[4]! / total);
  }
}
