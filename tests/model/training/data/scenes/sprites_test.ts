import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FileError } from "../../../../../engine/mod.ts";
import { encodePng } from "../../../../../model/image/png.ts";
import { dominantColour } from "../../../../../model/training/data/scenes/dominant_colour.ts";
import { readHeldOut } from "../../../../../model/training/data/scenes/held_out.ts";
import { readItems } from "../../../../../model/training/data/scenes/items.ts";
import {
  colourNear,
  PALETTE,
  paletteIndex,
} from "../../../../../model/training/data/scenes/palette.ts";
import {
  levelOf,
  openSprites,
  texelsOf,
} from "../../../../../model/training/data/scenes/sprites.ts";
import { folderOf } from "../files/folders.ts";

const item = (name: string, change: object = {}) => ({
  names: [name],
  nouns: [name],
  plural: [`${name}s`],
  countable: [true],
  tags: [],
  person: false,
  face: false,
  common: true,
  sub: "x",
  ...change,
});
const SHEET = { tile: 4, columns: 2, items: [item("cat"), item("dog"), item("left arrow")] };

/** A PNG of tiles of one colour each. */
function tiles(colours: readonly number[][], columns: number, rows: number) {
  const width = 4 * columns;
  const rgba = new Uint8Array(4 * width * 4 * rows);
  for (let i = 0; i < rgba.length / 4; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const colour = colours[Math.floor(y / 4) * columns + Math.floor(x / 4)] ?? [0, 0, 0];
    rgba.set([...colour, 255], 4 * i);
  }
  return encodePng(rgba, width, 4 * rows);
}

const files = (change: Record<string, string | Uint8Array> = {}) => ({
  "captions.json": JSON.stringify(SHEET),
  "sprites_rgb.jpg": tiles([[220, 30, 30], [30, 90, 230], [250, 210, 20]], 2, 2), // any format is read
  "sprites_alpha.png": tiles([[255, 255, 255], [128, 128, 128], [255, 255, 255]], 2, 2),
  ...change,
});

Deno.test("openSprites() cuts tiles, makes levels and finds colours", async () => {
  await using folder = await folderOf(files({
    "held_out.json": JSON.stringify({
      colours: { cat: ["blue", "red"], bird: ["green"] },
      pairs: [[1], [], []],
    }),
  }));
  const { sprites, heldOut, tile, rgba, shares } = await openSprites(folder.path);
  assertEquals(tile, 4);
  assertEquals(sprites.map(({ colour }) => PALETTE[colour!]!.name), ["red", "blue", "yellow"]);
  assertEquals(sprites.map(({ mirrorable }) => mirrorable), [true, true, false]);
  const { offset, side } = levelOf(4, 2);
  assertEquals([offset, side, texelsOf(4)], [20, 1, 21]);
  assertEquals([...rgba.subarray(4 * (21 + 20), 4 * 42)], [30, 90, 230, 128]);
  assertEquals([shares[0], shares[20], shares.length % 4], [255, 255, 0]);
  // red is what the cat is anyway, and there is no bird
  assertEquals(heldOut.colours, [[0, paletteIndex("blue")]]);
  assert(heldOut.hasPair(1, 0) && !heldOut.hasPair(0, 2));
  const some = await openSprites(folder.path, 1);
  assertEquals([some.sprites.length, some.heldOut.pairs], [1, []]);
});

Deno.test("openSprites() refuses what is missing, damaged or too small, in one line", async () => {
  const refuse = async (change: Record<string, string | Uint8Array>, message: string) => {
    await using folder = await folderOf(files(change));
    const error = await assertRejects(() => openSprites(folder.path), FileError);
    assert(error.message.includes(message) && !error.message.includes("\n"), error.message);
  };
  await refuse({ "captions.json": "{" }, "it is not JSON");
  await refuse({ "sprites_rgb.jpg": "x" }, "not a PNG, JPEG or WebP image");
  await refuse({ "sprites_alpha.png": tiles([], 1, 2) }, "3 tiles of 4 need 8x8");
  await refuse({ "held_out.json": "[]" }, "it is not an object");
  await using folder = await folderOf({ "captions.json": JSON.stringify(SHEET) });
  await assertRejects(() => openSprites(folder.path), FileError, "no such file");
});

Deno.test("readItems() says what is wrong with captions.json", () => {
  const refuse = (change: object, why: string) =>
    assertThrows(() => readItems(JSON.stringify({ ...SHEET, ...change }), "it"), FileError, why);
  assertEquals(readItems(JSON.stringify(SHEET), "it").items.length, 3);
  refuse({ tile: 6 }, "tile must be a multiple of 4");
  refuse({ columns: 0 }, "columns");
  refuse({ items: [] }, "items must be a list");
  refuse({ items: [item("a", { names: [] })] }, "items[0].names is empty");
  refuse({ items: [item("a"), item("b", { tags: [3] })] }, "items[1].tags");
  refuse({ items: [item("a", { plural: [] })] }, "items[0].plural");
  refuse({ items: [item("a", { common: 1 })] }, "items[0].common");
});

Deno.test("readHeldOut() says what is wrong with held_out.json", () => {
  const refuse = (json: unknown, why: string) =>
    assertThrows(() => readHeldOut(JSON.stringify(json), "it", []), FileError, why);
  refuse({ colours: {}, pairs: 1 }, "pairs must be a list");
  refuse({ colours: 1, pairs: [] }, "colours must be an object");
  refuse({ colours: {}, pairs: [3] }, "pairs[0] must be a list");
  refuse({ colours: {}, pairs: [[0]] }, "pairs[0] must list");
});

Deno.test("colourNear() finds each colour of the palette, and none for what is far from all", () => {
  PALETTE.forEach(({ rgb }, i) => assertEquals(colourNear(rgb), i));
  assertEquals(colourNear([0, 1, 1]), null);
});

Deno.test("dominantColour() takes the most frequent hue, or black, white and grey if there is little", () => {
  const look = (...texels: number[][]) => {
    const shares = new Uint8Array(texels.length);
    const { colour, share } = dominantColour(Uint8Array.from(texels.flat()), shares);
    return [PALETTE[colour!]!.name, Math.round(100 * share), ...shares];
  };
  const [red, green] = [[220, 30, 30, 255], [30, 180, 60, 255]];
  assertEquals(look(red, red, green, [255, 255, 255, 255]), ["red", 50, 255, 255, 0, 0]);
  assertEquals(look([240, 240, 240, 255], [240, 240, 240, 255]), ["white", 100, 255, 255]);
  assertEquals(look([10, 10, 10, 255], [12, 12, 12, 255]), ["black", 100, 255, 255]);
  assertEquals(dominantColour(Uint8Array.of(240, 150, 90, 255), new Uint8Array(1)).colour, null);
  assertEquals(look([220, 30, 30, 0], green), ["green", 100, 0, 255]);
});
