import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InputError } from "../../../../../engine/mod.ts";
import { openData } from "../../../../../model/training/data/open_data.ts";
import {
  colourAccuracy,
  countAccuracy,
  pairAccuracy,
  relationAccuracy,
} from "../../../../../model/training/data/scenes/composition.ts";
import {
  type Measured,
  scenesToMeasure,
} from "../../../../../model/training/data/scenes/held_out_scenes.ts";
import { relationOf } from "../../../../../model/training/data/scenes/layout.ts";
import type { Scene, SceneObject } from "../../../../../model/training/data/scenes/scene.ts";
import { SceneSource } from "../../../../../model/training/data/scenes/scene_source.ts";
import { RELATION_WORDS } from "../../../../../model/training/data/scenes/vocabulary.ts";
import { device } from "../../../../harness.ts";

const FOLDER = new URL("../../../../../assets/training/emoji-scenes/", import.meta.url);

const source = await SceneSource.open(device, FOLDER, { size: 64, sprites: 120 });
const { rules, composer } = source;
const composition = { device, rules, composer };

async function imagesOf(scenes: readonly Scene[], size = 64) {
  const tensor = composer.compose(scenes, size);
  const values = await device.read(tensor) as Float32Array;
  tensor.dispose();
  return { values, size };
}

/** The scenes with other objects, or other colours. */
const changed = (scenes: readonly Scene[], change: object) =>
  scenes.map((scene) => ({
    ...scene,
    objects: scene.objects.map((object) => ({ ...object, ...change })),
  }));

const measured = (what: Measured, count: number) => scenesToMeasure(rules, what, count, 1n);

Deno.test("scenesToMeasure() shows what training never does, the same for a seed", () => {
  assertEquals(measured("colours", 5), measured("colours", 5));
  for (const { objects, caption } of measured("colours", 50)) {
    assert(rules.heldOut.hasColour(objects[0]!.sprite, objects[0]!.colour!), caption);
  }
  for (const { objects: [a, b], caption } of measured("pairs", 50)) {
    assert(rules.heldOut.hasPair(a!.sprite, b!.sprite) && a!.x < b!.x, caption);
  }
  for (const [i, { objects, caption }] of measured("relations", 50).entries()) {
    const relation = (["left", "right", "above", "below"] as const)[i % 4]!;
    assertEquals(relationOf(objects), relation, caption);
    assert(rules.heldOut.hasPair(objects[0]!.sprite, objects[1]!.sprite), caption);
    const words = new RegExp(` (?:${RELATION_WORDS[relation].join("|")}) `);
    for (const [k, said] of caption.split(words).entries()) {
      const { nouns } = rules.sprites[objects[k]!.sprite]!.item;
      assert(nouns.some(({ text }) => said.endsWith(text)), caption);
    }
    assertMatch(caption, words);
  }
  const counts = measured("counts", 50);
  assertEquals([...new Set(counts.map(({ objects }) => objects.length))].sort(), [2, 3, 4]);
});

Deno.test("colourAccuracy() finds true images right, and others wrong in what they lack", async () => {
  const scenes = measured("colours", 8);
  const right = await colourAccuracy(composition, await imagesOf(scenes), scenes);
  assert(right.colour > 0.8 && right.object > 0.8 && right.both > 0.7, `${right.colour}`);
  const plain = await imagesOf(changed(scenes, { colour: null }));
  const pale = await colourAccuracy(composition, plain, scenes);
  assert(pale.colour < 0.3 && pale.both <= pale.colour, `${pale.colour}`);
  const { sprite } = measured("pairs", 1)[0]!.objects[0]!;
  const other = await colourAccuracy(
    composition,
    await imagesOf(changed(scenes, { sprite })),
    scenes,
  );
  assert(other.colour > 0.8 && other.object < 0.3, `${other.colour} ${other.object}`);
});

Deno.test("pairAccuracy() looks at both halves", async () => {
  const scenes = measured("pairs", 4);
  const right = await pairAccuracy(composition, await imagesOf(scenes), scenes);
  assertEquals(right, { one: 1, both: 1, anyOrder: 1 });
  const turned = scenes.map(({ objects: [a, b], ...scene }) => ({
    ...scene,
    objects: [{ ...a!, x: b!.x, y: b!.y }, { ...b!, x: a!.x, y: a!.y }],
  }));
  const order = await pairAccuracy(composition, await imagesOf(turned), scenes);
  assertEquals([order.both, order.anyOrder], [0, 1]);
  const twice = scenes.map((scene) => ({
    ...scene,
    objects: scene.objects.map((object) => ({ ...object, sprite: scene.objects[0]!.sprite })),
  }));
  const half = await pairAccuracy(composition, await imagesOf(twice), scenes);
  assert(half.one < 0.7 && half.both < 0.3 && half.anyOrder < 0.3, `${half.one}`);
});

Deno.test("relationAccuracy() tells the four relations apart, and looks at both objects", async () => {
  const scenes = measured("relations", 4);
  const accuracy = async (change: (objects: SceneObject[], i: number) => object[]) => {
    const shown = scenes.map((scene, i) => {
      const changes = change([...scene.objects], i);
      return { ...scene, objects: scene.objects.map((own, k) => ({ ...own, ...changes[k] })) };
    });
    return await relationAccuracy(composition, await imagesOf(shown), scenes);
  };
  assertEquals(await accuracy(() => []), { beside: 1, stacked: 1, one: 1, both: 1 });
  const swapped = await accuracy(([a, b]) => [{ x: b!.x, y: b!.y }, { x: a!.x, y: a!.y }]);
  assert(swapped.one < 0.3, `${swapped.one}`);
  assertEquals({ ...swapped, one: 0 }, { beside: 0, stacked: 0, one: 0, both: 0 });
  // all above each other
  const { beside, stacked, both } = await accuracy((objects, i) =>
    i < 2 ? objects.map(({ x, y }) => ({ x: y, y: x })) : []
  );
  assertEquals({ beside, stacked, both }, { beside: 0, stacked: 1, both: 0.5 });
  const twice = await accuracy(([{ sprite }]) => [{}, { sprite }]);
  assert(twice.one > 0.4 && twice.one < 0.7 && twice.both === 0, `${twice.one}`);
});

Deno.test("countAccuracy() tells two from three and four", async () => {
  const scenes = measured("counts", 12);
  assertEquals(await countAccuracy(composition, await imagesOf(scenes), scenes), 1);
  const fewer = scenes.map((scene) => ({ ...scene, objects: scene.objects.slice(0, -1) }));
  assertEquals(await countAccuracy(composition, await imagesOf(fewer), scenes), 0);
});

Deno.test("openData() composes scenes, of which those to measure are held out", async () => {
  const options = { kind: "scenes", path: fromFileUrl(FOLDER) } as const;
  const sizes = [{ width: 16, height: 16 }];
  const scenes = await openData(device, { ...options, sizes, which: "measuring" });
  assertEquals([scenes.count, scenes.sizes], [null, sizes]);
  const { images, captions } = await scenes.batch(0, 4);
  assertEquals([images.shape, captions.length], [[4, 16, 16, 3], 4]);
  images.dispose();
  for (const { objects: [a, b] } of (scenes as SceneSource).scenes(3, 20)) {
    const { heldOut } = (scenes as SceneSource).rules;
    assert(b ? heldOut.hasPair(a!.sprite, b.sprite) : heldOut.hasColour(a!.sprite, a!.colour!));
  }
  scenes.dispose();
  const wide = [{ width: 16, height: 32 }];
  await assertRejects(() => openData(device, { ...options, sizes: wide }), InputError, "square");
});
