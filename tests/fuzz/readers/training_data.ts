// What people train on: captions of sprites and sheets, lines of JSON, folders of images and texts.
import { Draws } from "../../../model/training/data/base/draws.ts";
import { openImageFolder } from "../../../model/training/data/files/folder.ts";
import {
  drawCaption,
  openJsonlFolder,
  readLine,
} from "../../../model/training/data/files/jsonl.ts";
import { drawName, readSheetCaptions } from "../../../model/training/data/files/sheet.ts";
import { readHeldOut } from "../../../model/training/data/scenes/held_out.ts";
import { readItems } from "../../../model/training/data/scenes/items.ts";
import { PALETTE } from "../../../model/training/data/scenes/palette.ts";
import type { Sprite } from "../../../model/training/data/scenes/sprite.ts";
import { json, mutateText, mutateTree, text, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { inFolder } from "../in_folder.ts";
import { claim, reader, textFault } from "../reader.ts";

/** A draw of each of a few places. */
const DRAWS = [0, 1, 2, 3, 4, 5].map((i) => new Draws(1n, 3, 0, i));

/** JSON of a tree with changes, now and then no JSON. */
function broken(random: Random, tree: unknown): string {
  const changed = mutateTree(
    random,
    tree,
    (random) => random.chance(0.3) ? json(random) : undefined,
  );
  const written = JSON.stringify(changed) ?? "";
  return random.chance(0.8) ? written : mutateText(random, written);
}

const ITEM = {
  names: ["cat", "kitty"],
  nouns: ["cat"],
  plural: ["cats"],
  countable: [true],
  tags: ["pet"],
  person: false,
  face: false,
  common: true,
  sub: "animal",
};

export const spriteCaptions = reader({
  make: (random) => broken(random, { tile: 8, columns: 4, items: [ITEM, ITEM, ITEM] }),
  read(written) {
    const { tile, columns, items } = readItems(written, "captions.json");
    claim(tile % 4 === 0 && tile > 0 && tile <= 1024, "a tile that can be halved twice");
    claim(Number.isInteger(columns) && columns > 0, "columns");
    for (const { names, nouns } of items) {
      claim(names.length > 0 && names.every((name) => typeof name === "string"), "names");
      claim(nouns.every(({ plural }) => typeof plural === "string"), "a plural of each noun");
    }
  },
});

const SPRITES = ["cat", "dog", "constructor"].map((name, place): Sprite => ({
  item: { ...ITEM, nouns: [], names: [name], group: "" },
  place: 2 * place,
  colour: place,
  lightness: 0.5,
  share: 1,
  recolourable: place > 0,
  mirrorable: true,
}));

export const heldOut = reader({
  make: (random) =>
    broken(random, {
      colours: { cat: ["red"], dog: ["blue", "gray"], [text(random)]: ["green"] },
      pairs: [[2, 4], [], [4]],
    }),
  read(written) {
    const { colours, pairs } = readHeldOut(written, "held_out.json", SPRITES);
    for (const [sprite, colour] of colours) {
      claim(SPRITES[sprite]?.recolourable === true, "a sprite that takes colours");
      claim(colour in PALETTE && colour !== SPRITES[sprite]!.colour, "another colour");
    }
    for (const [a, b] of pairs) claim(a !== b && a in SPRITES && b in SPRITES, "two sprites");
  },
});

export const sheetCaptions = reader({
  make: (random) =>
    broken(random, {
      tile_columns: 48,
      sheets: { 32: "sheet32.png" },
      items: [
        { label: "cat", names: ["kitty"], tags: ["pet"], variant: null },
        { label: null, names: [], tags: [], variant: { held_out: true, used: false } },
      ],
    }),
  read(written) {
    const { columns, sheets, items } = readSheetCaptions(written, "captions.json");
    claim(Number.isInteger(columns) && columns > 0, "columns");
    for (const [tile, file] of sheets) {
      claim(tile > 0 && tile < 1e4 && !/[/\\\0]/.test(file), `a file in the folder, not ${file}`);
    }
    for (const item of items.filter(({ used }) => used)) {
      for (const draws of DRAWS) claim(drawName(item, draws) !== "", "a name");
    }
  },
});

const LINE = {
  image_path: "images/x.png",
  h_div_w: 1.5,
  long_caption: "One two three. Four. Five -- 3:2. Six.",
  long_caption_type: "InternVL 2.0",
  text: "short",
};

export const jsonl = reader({
  usesFiles: true,
  make: (random) => random.list(0, 4, () => broken(random, LINE)).join(random.pick(["\n", "\r\n"])),
  async read(written) {
    for (const line of written.split("\n").slice(0, 2)) {
      try {
        const entry = readLine(line, "it");
        claim(entry.path !== "" && entry.ratio > 0, "a path and a ratio");
        for (const draws of DRAWS) claim(drawCaption(entry, draws) !== "", "a caption");
      } catch (error) {
        if (error instanceof Error && error.name === "Violation") throw error;
      }
    }
    await inFolder([["1.000_2.jsonl", written]], async (folder) => {
      const set = await openJsonlFolder(folder);
      claim(set.count > 0 && set.count <= written.split("\n").length, "as many as there are lines");
      for (let i = 0; i < set.count; i++) claim((await set.example(i)).path !== "", "a path");
      set.dispose();
    });
  },
});

export const imageFolder = reader({
  usesFiles: true,
  make: (random) => {
    const names = ["a.png", "a.txt", "b.jpg", "b.TXT", "c/a.webp", "c/a.txt", ".x.png", "a.jpeg"];
    const files: Record<string, string> = {};
    for (const name of names) if (random.chance(0.6)) files[name] = mutateText(random, "a\nb");
    if (random.chance(0.3)) files[`${random.pick(TEXTS)}.png`] = "";
    return files;
  },
  async read(files) {
    await inFolder(Object.entries(files), async (folder) => {
      const onWarning = (line: string) => claim(textFault(line) === null, `a line: ${line}`);
      const set = await openImageFolder(folder, { uncaptioned: false, onWarning });
      claim(set.count > 0 && set.count <= 5, "images");
      for (let i = 0; i < set.count; i++) {
        const { path, caption } = await set.example(i);
        claim((await Deno.stat(path)).isFile, "a file that exists");
        for (const draws of DRAWS) {
          const drawn = caption(draws);
          claim(drawn.trim() !== "" && !/[\r\n]/.test(drawn), "a line of a text");
        }
      }
    });
  },
});
