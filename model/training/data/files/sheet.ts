/** A sheet: one image of many tiles, and captions.json about them. */

import { type Device, FileError, isObject, quote } from "../../../../engine/mod.ts";
import { join } from "../../../../deps/@std/path.ts";
import { readSmallFile } from "../../../checkpoint/files.ts";
import type { Image } from "../../../image/png.ts";
import { openImage } from "../../../image/read_image.ts";
import { fitImage } from "../../../image/resize.ts";
import { checkBatch } from "../base/check.ts";
import { Draws, STREAMS } from "../base/draws.ts";
import { copyPicture, picturesOf } from "./mirrored.ts";
import { captionsOf, emptySet } from "./image_set.ts";
import { chooseImages } from "../base/order.ts";
import type { Batch, DataSource, Size, Which } from "../base/source.ts";

/** What captions.json says of a tile. */
export interface SheetItem {
  /** The usual name. */
  readonly label: string;
  /** Other names of this tile alone. */
  readonly names: readonly string[];
  /** Words that several tiles share. */
  readonly tags: readonly string[];
  /** Whether it is kept from training the transformer. */
  readonly heldOut: boolean;
  /** Whether it is of use at all. */
  readonly used: boolean;
}

/** A captions.json. */
export interface SheetCaptions {
  readonly columns: number;
  /** File names of sheets by the pixels across of their tiles. */
  readonly sheets: ReadonlyMap<number, string>;
  /** By tile, row by row. */
  readonly items: readonly SheetItem[];
}

/** How tiles become batches. */
export interface SheetOptions {
  /** Size of the images that are made. */
  readonly size: Size;
  /** Decides order, names and mirroring. */
  readonly seed: bigint;
  /** Those that are not held out, those that are, or both. */
  readonly which: Which;
  /** Probability that a tile is mirrored. */
  readonly mirror: number;
}

/** How often a caption is another name of the tile, and how often a tag; otherwise it is its label. */
const [OTHER_NAME, TAG] = [0.4, 0.08];
const MOST_BYTES = 2 ** 28;

/**
 * Reads captions.json: `tile_columns`, `sheets` (file names by the pixels of their tiles), and `items` with `label`,
 * `names`, `tags` and `variant`, null or `{held_out, used}`.
 *
 * @param name The file's name, for messages.
 * @throws {FileError} `bad-captions`: it is not JSON, or a field is missing or of another type.
 */
export function readSheetCaptions(text: string, name: string): SheetCaptions {
  const refuse = (why: string, cause?: unknown): never => {
    throw new FileError("bad-captions", `Cannot read ${quote(name)}: ${why}`, { cause });
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    return refuse("it is not JSON", cause);
  }
  const { tile_columns: columns, sheets, items } = isObject(json)
    ? json
    : refuse("it is not an object");
  if (!Number.isInteger(columns) || !(columns as number > 0)) {
    return refuse("tile_columns must be a whole number above 0");
  }
  if (!isObject(sheets)) return refuse("sheets must be an object");
  const files = Object.entries(sheets).map(([tile, file]): [number, string] => {
    if (!/^[1-9]\d{0,3}$/.test(tile)) refuse(`${quote(tile)} is not a number of pixels`);
    if (typeof file !== "string" || /[/\\\0]/.test(file)) {
      return refuse(`sheets.${tile} must be a file name`);
    }
    return [Number(tile), file];
  });
  if (!Array.isArray(items)) return refuse("items must be a list");
  return {
    columns: columns as number,
    sheets: new Map(files),
    items: items.map((item, i) => readItem(item, `items[${i}]`, refuse)),
  };
}

function readItem(item: unknown, where: string, refuse: (why: string) => never): SheetItem {
  if (!isObject(item)) return refuse(`${where} is not an object`);
  const { names, tags, variant } = item;
  const label = item.label ?? "";
  const texts = (value: unknown, key: string): string[] => {
    const right = Array.isArray(value) && value.every((each) => typeof each === "string" && each);
    return right ? value : refuse(`${where}.${key} must be a list of texts`);
  };
  const { held_out: heldOut = false, used = true } = isObject(variant) ? variant : {};
  if (typeof label !== "string" || label === "" && used !== false) {
    return refuse(`${where}.label must be a text`);
  }
  return {
    label,
    names: texts(names, "names"),
    tags: texts(tags, "tags"),
    heldOut: heldOut === true,
    used: used !== false,
  };
}

/** The tiles of a sheet, decoded once. */
export class SheetSource implements DataSource {
  readonly sizes: readonly [Size];
  readonly count: number;
  readonly pictures: readonly [number];

  private constructor(
    private readonly device: Device,
    private readonly items: readonly SheetItem[],
    /** [items, height, width, 3] */
    private readonly pixels: readonly Float32Array[],
    private readonly options: SheetOptions,
  ) {
    this.sizes = [options.size];
    this.count = items.length;
    this.pictures = [picturesOf(items.length, options.mirror)];
  }

  /**
   * Opens a folder with captions.json and its sheets. The sheet with tiles of the size that is wanted is taken, or else
   * the smallest with larger ones, or the largest; its tiles are fitted.
   *
   * @throws {FileError} A file is missing or damaged; `empty-set`: no tile is left.
   */
  static async open(device: Device, folder: string, options: SheetOptions): Promise<SheetSource> {
    const path = (name: string) => join(folder, name);
    const bytes = await readSmallFile(path("captions.json"), MOST_BYTES);
    const captions = readSheetCaptions(new TextDecoder().decode(bytes), path("captions.json"));
    const { width, height } = options.size;
    const tile = nearestTile([...captions.sheets.keys()], Math.max(width, height));
    if (tile === undefined) throw emptySet(folder, "captions.json names no sheet");
    const file = path(captions.sheets.get(tile)!);
    const sheet = await (await openImage(await readSmallFile(file, MOST_BYTES), file)).image();
    const { columns, items } = captions;
    const rows = Math.ceil(items.length / columns);
    if (sheet.width < columns * tile || sheet.height < rows * tile) {
      throw new FileError(
        "bad-size",
        `Cannot use ${quote(file)}: it has ${sheet.width}x${sheet.height} pixels, ` +
          `${items.length} tiles of ${tile} need ${columns * tile}x${rows * tile}`,
      );
    }
    const { which } = options;
    const places = items.keys().filter((i) =>
      items[i]!.used && (which === "all" || items[i]!.heldOut === (which === "measuring"))
    ).toArray();
    if (places.length === 0) throw emptySet(folder, `it has no tiles for ${which}`);
    const pixels = await Promise.all(places.map((place) => {
      const image = tileOf(sheet, tile, place % columns, Math.floor(place / columns));
      return fitImage(image, width, height);
    }));
    return new SheetSource(device, places.map((place) => items[place]!), pixels, options);
  }

  // deno-lint-ignore require-await -- so that it rejects
  async batch(step: number, size: number): Promise<Batch> {
    checkBatch(step, size);
    const { seed, size: { width, height }, mirror } = this.options;
    const { places } = chooseImages([this.count], seed, step, size);
    const one = width * height * 3;
    const values = new Float32Array(size * one);
    const pictures: number[] = [];
    const captions = places.map((place, i) => {
      const draws = new Draws(seed, STREAMS.captions, step, i);
      const target = values.subarray(i * one, (i + 1) * one);
      const image = { rgb: this.pixels[place]!, place, width };
      pictures.push(copyPicture(image, target, draws, mirror));
      return drawName(this.items[place]!, draws);
    });
    const images = this.device.from("f32", [size, height, width, 3], values, "images");
    return { images, captions, pictures };
  }

  captions(most: number): ReadonlySet<string> | null {
    return captionsOf(this.items, ({ label, names, tags }) => [label, ...names, ...tags], most);
  }

  /** All tiles and their labels in the order of the sheet, to measure with. */
  truths(): { readonly labels: readonly string[]; readonly values: Float32Array } {
    const one = this.pixels[0]!.length;
    const values = new Float32Array(this.count * one);
    this.pixels.forEach((pixels, i) => values.set(pixels, i * one));
    return { labels: this.items.map(({ label }) => label), values };
  }

  dispose(): void {}
}

/** Draws a caption of a tile. */
export function drawName({ label, names, tags }: SheetItem, draws: Draws): string {
  const at = draws.next();
  if (at < OTHER_NAME && names.length > 0) return draws.of(names);
  return at > 1 - TAG && tags.length > 0 ? draws.of(tags) : label;
}

/** The smallest that is not below `wanted`, or else the largest. */
function nearestTile(tiles: readonly number[], wanted: number): number | undefined {
  const sorted = tiles.toSorted((a, b) => a - b);
  return sorted.find((tile) => tile >= wanted) ?? sorted.at(-1);
}

function tileOf(sheet: Image, tile: number, column: number, row: number): Image {
  const rgba = new Uint8Array(4 * tile * tile);
  for (let y = 0; y < tile; y++) {
    const from = 4 * ((row * tile + y) * sheet.width + column * tile);
    rgba.set(sheet.rgba.subarray(from, from + 4 * tile), 4 * y * tile);
  }
  return { width: tile, height: tile, rgba };
}
