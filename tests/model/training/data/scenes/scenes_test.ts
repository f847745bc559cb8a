import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Draws } from "../../../../../model/training/data/base/draws.ts";
import { PALETTE } from "../../../../../model/training/data/scenes/palette.ts";
import { drawScene } from "../../../../../model/training/data/scenes/layout.ts";
import { SceneSource } from "../../../../../model/training/data/scenes/scene_source.ts";
import { article } from "../../../../../model/training/data/scenes/vocabulary.ts";
import { device } from "../../../../harness.ts";

const FOLDER = new URL("../../../../../assets/training/emoji-scenes/", import.meta.url);

const source = await SceneSource.open(device, FOLDER, { size: 32, seed: 5n, sprites: 60 });
const { rules } = source;
const { sprites, heldOut } = rules;
const scenes = Array.from({ length: 3000 }, (_, i) => drawScene(rules, new Draws(1n, 1, 0, i)));

Deno.test("A batch of scenes depends on seed, step and size alone", async () => {
  const read = async (step: number, count = 3) => {
    const { images, captions } = await source.batch(step, count);
    const values = [...await device.read(images)];
    images.dispose();
    return { values, captions };
  };
  const seven = await read(7);
  assertNotEquals(await read(8), seven);
  assertEquals(await read(7), seven);
  assertEquals((await read(7, 5)).captions.slice(0, 3), seven.captions);
  assert(seven.values.every((value) => value >= -1 && value <= 1));
  using other = await SceneSource.open(device, FOLDER, { size: 32, seed: 6n, sprites: 60 });
  assertNotEquals(other.scenes(7, 3).map(({ caption }) => caption), seven.captions);
});

Deno.test("Scenes for training show nothing that is held out", () => {
  assert(heldOut.colours.length > 10 && heldOut.pairs.length > 20);
  for (const { objects } of scenes) {
    for (const { sprite, colour } of objects) {
      assert(colour === null || !heldOut.hasColour(sprite, colour));
      assert(colour === null || sprites[sprite]!.recolourable);
    }
    for (const { sprite } of objects) {
      assert(objects.every((other) => !heldOut.hasPair(sprite, other.sprite)));
    }
  }
});

Deno.test("Captions say what scenes show", () => {
  const kinds = { counted: 0, pairs: 0, coloured: 0, backgrounds: 0 };
  for (const { caption, objects, background } of scenes) {
    assert(/^[^\s].*[^\s]$/.test(caption) && !/ {2}|undefined|null/.test(caption), caption);
    assert(caption.endsWith(background.phrase), caption);
    if (background.phrase) kinds.backgrounds++;
    const number = /^(two|three|four) /.exec(caption)?.[1];
    if (number) {
      kinds.counted++;
      assertEquals(objects.length, { two: 2, three: 3, four: 4 }[number]);
      assertEquals(new Set(objects.map(({ sprite }) => sprite)).size, 1);
    } else if (objects.length === 2) kinds.pairs++;
    for (const { colour, sprite } of objects) {
      if (colour === null) continue;
      kinds.coloured++;
      assert(PALETTE[colour]!.words.some((word) => caption.includes(word)), caption);
      const { names, nouns } = sprites[sprite]!.item;
      const called = [...names, ...nouns.flatMap(({ text, plural }) => [text, plural])];
      assert(called.some((name) => caption.includes(name)), caption);
    }
    const bad = /\b(a [aeio]|an [^aeiou8])/.exec(caption);
    assert(!bad || /\ba (one|ewe)/.test(caption), caption);
  }
  for (const [kind, count] of Object.entries(kinds)) assert(count > 200, `${count} ${kind}`);
});

Deno.test("Relations hold: left is left, above is above", () => {
  const places = { "left of": [-1, 0], "right of": [1, 0], above: [0, -1], below: [0, 1] } as const;
  for (const [word, [right, down]] of Object.entries(places)) {
    const found = scenes.filter(({ caption, objects }) =>
      objects.length === 2 && caption.includes(` ${word} `)
    );
    assert(found.length > 5, word);
    for (const { caption, objects: [first, second] } of found) {
      const [x, y] = [first!.x - second!.x, first!.y - second!.y];
      assert(x * right + y * down > 0.3, caption);
      assert(Math.abs(right ? y : x) < 0.2, caption);
    }
  }
});

Deno.test("A colour of the background is none of the objects", () => {
  for (const { caption, objects, background } of scenes) {
    const word = /^on an? (\w+) background$/.exec(background.phrase)?.[1];
    if (!word) continue;
    const colour = PALETTE.findIndex(({ words }) => words.includes(word));
    assert(objects.every((object) => object.colour !== colour), caption);
  }
});

Deno.test("article() goes by the sound", () => {
  const phrases = [
    "apple",
    "unicorn",
    "umbrella",
    "ewe",
    "8 ball",
    "hourglass",
    "one-piece swimsuit",
  ];
  assertEquals(phrases.map(article), ["an", "a", "an", "a", "an", "a", "a"]);
});

Deno.test("Sprites are recoloured: one in green has more green than in blue", async () => {
  const sprite = sprites.findIndex(({ recolourable, share }) => recolourable && share > 0.8);
  const scene = (colour: string) => ({
    ...scenes[0]!,
    objects: [{
      sprite,
      colour: PALETTE.findIndex(({ name }) => name === colour),
      x: 0.5,
      y: 0.5,
      size: 0.9,
      turn: 0,
      mirrored: false,
    }],
  });
  const images = source.composer.compose(["green", "blue"].map(scene), 16);
  const values = await device.read(images) as Float32Array;
  images.dispose();
  const mean = (image: number, channel: number) =>
    values.filter((_, i) => Math.floor(i / 768) === image && i % 3 === channel)
      .reduce((sum, value) => sum + value, 0);
  assert(mean(0, 1) > mean(1, 1) + 10 && mean(1, 2) > mean(0, 2) + 10);
});
