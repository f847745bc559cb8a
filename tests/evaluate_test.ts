import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { countBlobs } from "../bench/evaluate/blobs.ts";
import {
  bitAccuracy,
  figureLine,
  generateAll,
  measuringConfig,
  memorySource,
  reconstruction,
} from "../bench/evaluate/measures.ts";
import { composeAll, countedScenes, shareCounted } from "../bench/evaluate/scenes.ts";
import { drawSheet } from "../bench/evaluate/sheet.ts";
import { exchangeLosses, likelier, reordered, wordOrder } from "../bench/evaluate/word_order.ts";
import { bytesOf, valuesOf } from "../bench/measuring/pixels.ts";
import { psnr } from "../model/image/metrics.ts";
import { decodePng } from "./decode_png.ts";
import { InfinityModel } from "../model/infinity.ts";
import {
  colourAccuracy,
  pairAccuracy,
  relationAccuracy,
} from "../model/training/data/scenes/composition.ts";
import { scenesToMeasure } from "../model/training/data/scenes/held_out_scenes.ts";
import type { Scene } from "../model/training/data/scenes/scene.ts";
import { SceneSource } from "../model/training/data/scenes/scene_source.ts";
import { device } from "./harness.ts";
import { NANO } from "./nano.ts";

const SPRITES = new URL("../assets/training/emoji-scenes/", import.meta.url);

const source = await SceneSource.open(device, SPRITES, { size: 64, sprites: 200 });
const { rules, composer } = source;
const composition = { device, rules, composer };

/** The true images, as a model would give them: of bytes. */
const imagesOf = async (scenes: readonly Scene[]) =>
  valuesOf(bytesOf(await composeAll(composition, scenes, 64)));

Deno.test("countBlobs() counts areas that touch at no side, without specks", () => {
  const size = 32;
  const count = (...squares: (readonly [x: number, y: number, side: number])[]) => {
    const values = new Float32Array(3 * size * size).fill(1);
    for (const [x, y, side] of squares) {
      for (let i = 0; i < side * side; i++) {
        const [column, row] = [x + i % side, y + Math.floor(i / side)];
        values[3 * (row * size + column) + 1] = 0; // one channel is enough
      }
    }
    return countBlobs({ values, size })[0];
  };
  assertEquals(count(), 0);
  assertEquals(count([2, 2, 8]), 1);
  assertEquals(count([2, 2, 8], [12, 2, 8], [0, 20, 12]), 3);
  assertEquals(count([2, 2, 8], [10, 2, 8]), 1);
  assertEquals(count([2, 2, 8], [10, 10, 8]), 2);
  assertEquals(count([2, 2, 8], [20, 20, 2]), 1);
  assertEquals(count([0, 0, 32]), 1);
  const { values } = valuesOf([{ width: 2, height: 2, rgba: new Uint8Array(16).fill(255) }]);
  assertEquals(countBlobs({ values: Float32Array.of(...values, ...values), size: 2 }), [0, 0]);
});

Deno.test("True images of held-out colours, pairs and relations are found right", async () => {
  const colours = scenesToMeasure(rules, "colours", 8, 3n);
  const found = await colourAccuracy(composition, await imagesOf(colours), colours);
  assertEquals(found.colour, 1);
  assert(found.object > 0.8 && found.both > 0.8, `${found.object}`);
  const pairs = scenesToMeasure(rules, "pairs", 4, 3n);
  assertEquals(await pairAccuracy(composition, await imagesOf(pairs), pairs), {
    one: 1,
    both: 1,
    anyOrder: 1,
  });
  const related = scenesToMeasure(rules, "relations", 4, 3n);
  assertEquals(
    await relationAccuracy(composition, await imagesOf(related), related),
    { beside: 1, stacked: 1, one: 1, both: 1 },
  );
});

Deno.test("countedScenes() says how many there are, and shareCounted() finds so many", async () => {
  const scenes = countedScenes(rules);
  assert(scenes.length >= 9);
  for (const { caption, objects } of scenes) {
    const [number, noun] = caption.split(" ");
    assertEquals(number, ["two", "three", "four"][objects.length - 2]);
    const { nouns } = rules.sprites[objects[0]!.sprite]!.item;
    assert(nouns.some(({ plural }) => plural === noun), caption);
  }
  // small, so that they do not touch
  const apart = (scene: Scene, count?: number) => ({
    ...scene,
    objects: scene.objects.slice(0, count).map((object) => ({ ...object, size: 0.28 })),
  });
  const all = await imagesOf(scenes.map((scene) => apart(scene)));
  assert(shareCounted(all, scenes) > 0.9, `${shareCounted(all, scenes)}`);
  const fewer = await imagesOf(scenes.map((scene) => apart(scene, -1)));
  assert(shareCounted(fewer, scenes) < 0.1);
});

Deno.test("bytesOf() and valuesOf() are each other's opposites, but for what is cut off", () => {
  const rgba = Uint8Array.from({ length: 64 }, (_, i) => i % 4 === 3 ? 255 : (5 * i) % 256);
  const [back] = bytesOf(valuesOf([{ width: 4, height: 4, rgba }]));
  for (const [i, byte] of rgba.entries()) assert(byte - back!.rgba[i]! <= 1, `${i}`);
  assertEquals([...valuesOf([{ width: 1, height: 1, rgba: Uint8Array.of(0, 255, 0, 9) }]).values], [
    ...[-1, 1, -1],
  ]);
});

Deno.test("A model is measured by the images and captions that are given", async () => {
  using model = await InfinityModel.load(NANO, { device });
  const prompts = ["red apple", "pizza", "rocket"];
  const { images } = await model.generate({ prompt: prompts, seed: 1 });
  const again = await model.decode(await model.encode(images[0]!));
  assertEquals(await reconstruction(model, [images[0]!]), psnr(again, images[0]!));
  const subject = { model, folder: NANO.href, images: 3 };
  const right = await bitAccuracy(subject, valuesOf(images), prompts);
  assertEquals(right.length, 4);
  assert(right.every((share) => share > 0.9 && share <= 1), `${right}`);
  const wrong = await bitAccuracy(subject, valuesOf(images), prompts.toReversed());
  assert(wrong[0]! < right[0]!, `${wrong}`);

  const made = async (cfgScale?: number[]) =>
    valuesOf(await generateAll({ model, cfgScale }, prompts)).values;
  const { cfg } = model.config.defaults;
  assertEquals(await made(Array(4).fill(cfg)), await made());
  assertNotEquals(await made([1, 1, 1, 1]), await made());

  const sheet = decodePng(await drawSheet([model, model], prompts.slice(0, 2)));
  assertEquals([sheet.width, sheet.height], [4 * 136 + 8, 136 + 8]);
  const row = (tile: number) => {
    const first = 4 * (64 * sheet.width + 8 + 136 * tile);
    return sheet.rgba.slice(first, first + 4 * 128);
  };
  assertEquals(row(0), row(1));
  assertEquals(row(2), row(3));
  assertNotEquals(row(0), row(2));
});

Deno.test("wordOrder() is 0 where no words change places, and no more than features have", async () => {
  assertEquals(reordered("a cat left of a rocket"), "a rocket left of a cat");
  assertEquals(reordered("a cat to the right of a rocket"), "a rocket to the right of a cat");
  assertEquals(reordered("a red apple"), "a red apple");
  using model = await InfinityModel.load(NANO, { device });
  const before = device.memory.liveBytes;
  const order = (...captions: string[]) => wordOrder({ model, folder: NANO.href }, captions);
  assertEquals(await order("red apple", "a cat and a cat"), 0);
  const moved = await order("a cat left of a rocket", "a pizza above a dog");
  assert(moved > 1e-4 && moved < 1, `${moved}`);
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("exchangeLosses() gives each image its own caption, then the one with objects exchanged", async () => {
  using model = await InfinityModel.load(NANO, { device });
  const captions = ["red apple left of pizza", "rocket"];
  const { images } = await model.generate({ prompt: captions, seed: 1 });
  const config = await measuringConfig(NANO.href);
  // as a training would have them: none of these may change what is measured
  const transformer = { ...config.transformer, flips: 0.3, condition_dropout: 0.9, accumulate: 2 };
  const before = device.memory.liveBytes;
  const losses = (asked: readonly string[], noisy = false) => {
    const data = memorySource(device, valuesOf(images), asked);
    return exchangeLosses(device, noisy ? { ...config, transformer } : config, NANO.href, data, 2);
  };
  const found = await losses(captions);
  assertEquals([found.own.length, found.other.length], [2, 2]);
  assertNotEquals(found.own[0], found.other[0]);
  assertEquals(found.own[1], found.other[1]); // one object
  assertEquals(await losses(captions.map(reordered)), { own: found.other, other: found.own });
  assertEquals(await losses(captions, true), found);
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("likelier() counts images whose own captions have the smaller loss", () => {
  assertEquals(likelier({ own: [1, 2, 3], other: [2, 3, 1] }), 2 / 3);
  assertEquals(likelier({ own: [1, 1], other: [1, 1] }), 0.5);
});

Deno.test("figureLine() shows numbers, lists and what has names", () => {
  const figure = { name: "n", what: "what" };
  const line = (value: number | number[] | Record<string, number>, unit: "dB" | "%") =>
    figureLine({ ...figure, value, unit }).replace(/ {2,}/, ": ");
  assertEquals(line(26.051, "dB"), "what: 26.05 dB");
  assertEquals(line([0.9632, 1], "%"), "what: 96.3 / 100.0 %");
  assertEquals(line({ colour: 0.5, object: 0.25 }, "%"), "what: 50.0 / 25.0 %");
  const long = { ...figure, what: "w".repeat(60), value: 0.5, unit: "%" } as const;
  assertMatch(figureLine(long), /w 50\.0 %$/);
});

Deno.test("evaluate refuses in one line what it cannot do, before it measures", async () => {
  const main = fromFileUrl(new URL("../bench/evaluate.ts", import.meta.url));
  const refusals: Record<string, readonly [code: number, message: RegExp]> = {
    "--against emoji-nano": [2, /^error: Cannot use --against alone: [^\n]*\n$/],
    "--images 0": [2, /^error: Cannot read --images "0": [^\n]*\n$/],
    "emoji-nano emoji-nano": [2, /^error: Cannot measure "emoji-nano": [^\n]*\n$/],
    "emoji-nono": [1, /^error: Cannot [^\n]*"emoji-nono"[^\n]*\n$/],
  };
  for (const [words, [expected, message]] of Object.entries(refusals)) {
    const args = ["run", "-A", main, ...words.split(" ")];
    const env = { NO_COLOR: "1" };
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
    assertEquals(code, expected, words);
    assertMatch(new TextDecoder().decode(stderr), message);
  }
});
