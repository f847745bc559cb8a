/** Measures a model of 32 × 32 emoji as emoji-nano was measured (assets/models/emoji-nano/README.md). */

import { fromFileUrl, join } from "../../deps/@std/path.ts";
import type { Image } from "../../model/image/png.ts";
import { openImage } from "../../model/image/read_image.ts";
import { likeness } from "../../model/training/data/base/measures.ts";
import { valuesOf } from "../measuring/pixels.ts";
import { bitAccuracy, type Figure, generateAll, reconstruction, type Subject } from "./measures.ts";

const SHEET = fromFileUrl(new URL("../../assets/training/emoji/", import.meta.url));
const SIDE = 32;

/** What a sheet shows. */
export const NAMES: readonly string[] = [
  ...["red apple", "dog face", "pizza", "rocket", "sunflower", "purple cat", "blue car"],
  "birthday cake",
];

/** A tile of the sheet. */
interface Tile {
  readonly label: string;
  readonly kind: "base" | "training variant" | "held out" | "unused";
  readonly image: Image;
}

async function readTiles(): Promise<Tile[]> {
  const { items, tile_columns } = JSON.parse(await Deno.readTextFile(join(SHEET, "captions.json")));
  const file = await Deno.readFile(join(SHEET, "sheet32.png"));
  const sheet = await (await openImage(file, "sheet32.png")).image();
  return items.map(({ label, variant }: Item, i: number): Tile => {
    const [x, y] = [i % tile_columns * SIDE, Math.floor(i / tile_columns) * SIDE];
    const rgba = new Uint8Array(4 * SIDE * SIDE);
    for (let row = 0; row < SIDE; row++) {
      const from = 4 * ((y + row) * sheet.width + x);
      rgba.set(sheet.rgba.subarray(from, from + 4 * SIDE), 4 * SIDE * row);
    }
    const kind = !variant
      ? "base"
      : variant.held_out
      ? "held out"
      : variant.used
      ? "training variant"
      : "unused";
    return { label, kind, image: { width: SIDE, height: SIDE, rgba } };
  });
}

interface Item {
  readonly label: string;
  readonly variant: { readonly held_out: boolean; readonly used: boolean } | null;
}

const imagesOf = (tiles: readonly Tile[]) => valuesOf(tiles.map(({ image }) => image));
const labelsOf = (tiles: readonly Tile[]) => tiles.map(({ label }) => label);

/** Measures how well emoji are kept, and how near images of their names are to them. */
export async function* evaluateEmoji(subject: Subject): AsyncGenerator<Figure> {
  const { model, images: limit } = subject;
  const tiles = await readTiles();
  const all = tiles.filter(({ kind }) => kind !== "unused");
  const base = tiles.filter(({ kind }) => kind === "base");
  const held = tiles.filter(({ kind }) => kind === "held out");
  // every n-th, so that all categories are among them
  const step = Math.max(1, Math.floor(base.length / limit));
  const some = base.filter((_, i) => i % step === 0).slice(0, limit);
  yield {
    name: "reconstruction_db",
    what: `reconstruction of ${some.length} of ${base.length} base images`,
    value: await reconstruction(model, some.map(({ image }) => image)),
    unit: "dB",
  };
  for (
    const { name, what, asked, among, truths } of [
      { name: "plain", what: "plain names", asked: some, among: base, truths: "all base images" },
      {
        name: "held_out",
        what: `${held.length} held-out pairs`,
        asked: held,
        among: all,
        truths: "all images",
      },
    ]
  ) {
    yield {
      name: `${name}_bits_right`,
      what: `bits right, teacher forcing, ${what}`,
      value: await bitAccuracy(subject, imagesOf(asked), labelsOf(asked)),
      unit: "%",
    };
    const made = valuesOf(await generateAll(subject, labelsOf(asked)));
    const own = asked.map((tile) => among.indexOf(tile));
    const { psnr, nearest } = likeness(made, imagesOf(among), own);
    yield { name: `${name}_db`, what: `generated to truth, ${what}`, value: psnr, unit: "dB" };
    yield {
      name: `${name}_nearest`,
      what: `nearest of ${truths} is the right one`,
      value: nearest,
      unit: "%",
    };
  }
}
