/** Measures whether a model of emoji scenes composes what it is asked for. */

import { Draws, STREAMS } from "../../model/training/data/base/draws.ts";
import { type Images, pairwisePsnr } from "../../model/training/data/base/measures.ts";
import { WHITE } from "../../model/training/data/scenes/backgrounds.ts";
import {
  colourAccuracy,
  countAccuracy,
  pairAccuracy,
  relationAccuracy,
} from "../../model/training/data/scenes/composition.ts";
import { scenesToMeasure } from "../../model/training/data/scenes/held_out_scenes.ts";
import { severalObjects } from "../../model/training/data/scenes/layout.ts";
import type { Composition } from "../../model/training/data/scenes/look_up.ts";
import type { SceneRules } from "../../model/training/data/scenes/rules.ts";
import type { Scene } from "../../model/training/data/scenes/scene.ts";
import { SceneSource } from "../../model/training/data/scenes/scene_source.ts";
import { NUMBER_WORDS } from "../../model/training/data/scenes/vocabulary.ts";
import { bytesOf, valuesOf } from "../measuring/pixels.ts";
import { countBlobs } from "./blobs.ts";
import {
  bitAccuracy,
  type Figure,
  generateAll,
  measuringConfig,
  memorySource,
  reconstruction,
  type Subject,
} from "./measures.ts";
import { COUNTED, SEEDED } from "./prompts.ts";
import { exchangeLosses, likelier, wordOrder } from "./word_order.ts";

const SPRITES = new URL("../../assets/training/emoji-scenes/", import.meta.url);
/** Far from the seeds that trainings have, so that no scene was seen. */
const SEED = 2n ** 63n + 1n;
/** Images of a prompt that are compared with each other. */
const SEEDS = 6;
/** Scenes that are composed at a time. */
const AT_A_TIME = 64;

/** What is looked for in images. */
interface Look {
  readonly name: string;
  readonly what: string;
  look(images: Images): Figure["value"] | Promise<Figure["value"]>;
}

/** Measures how well new scenes are kept, and how often images show what was asked for. */
export async function* evaluateScenes(subject: Subject): AsyncGenerator<Figure> {
  const { model, images: count } = subject;
  const { device, config: { image: { width: size } } } = model;
  using source = await SceneSource.open(device, SPRITES, { size, seed: SEED });
  const composition = { device, rules: source.rules, composer: source.composer };
  const { rules } = source;

  const fresh = source.scenes(0, count);
  const kept = await composeAll(composition, fresh, size);
  yield {
    name: "reconstruction_db",
    what: `reconstruction of ${count} new scenes`,
    value: await reconstruction(model, bytesOf(kept)),
    unit: "dB",
  };
  yield {
    name: "bits_right",
    what: "bits right, teacher forcing, new scenes",
    value: await bitAccuracy(subject, kept, captionsOf(fresh)),
    unit: "%",
  };
  const coloured = scenesToMeasure(rules, "colours", count, SEED);
  if (coloured.length > 0) {
    const images = await composeAll(composition, coloured, size);
    yield {
      name: "held_out_colours_bits_right",
      what: "bits right, teacher forcing, held-out colours",
      value: await bitAccuracy(subject, images, captionsOf(coloured)),
      unit: "%",
    };
  }
  yield* beside(subject, composition, coloured, [{
    name: "held_out_colours",
    what: "held-out colours: colour / object / both",
    look: async (images) => ({ ...await colourAccuracy(composition, images, coloured, SEED) }),
  }]);
  const pairs = scenesToMeasure(rules, "pairs", count, SEED);
  yield* beside(subject, composition, pairs, [{
    name: "held_out_pairs",
    what: "held-out pairs: an object / both / in any order",
    look: async (images) => ({ ...await pairAccuracy(composition, images, pairs, SEED) }),
  }]);
  const related = scenesToMeasure(rules, "relations", count, SEED);
  yield* beside(subject, composition, related, [{
    name: "held_out_relations",
    what: "relations: beside / stacked / object / both",
    look: async (images) => ({ ...await relationAccuracy(composition, images, related, SEED) }),
  }]);
  if (related.length > 0 && model.config.text_encoder) {
    yield {
      name: "word_order",
      what: "  features moved when their objects change places",
      value: await wordOrder(subject, captionsOf(related)),
      unit: "%",
    };
    const truths = await composeAll(composition, related, size);
    const data = memorySource(device, truths, captionsOf(related));
    yield {
      name: "own_caption_likelier",
      what: "  own caption likelier than with objects exchanged",
      value: likelier(
        await exchangeLosses(
          device,
          await measuringConfig(subject.folder),
          subject.folder,
          data,
          related.length,
        ),
      ),
      unit: "%",
    };
  }
  const counted = countedScenes(rules).slice(0, count);
  yield* beside(subject, composition, counted, [{
    name: "counts",
    what: "numbers of things, by blobs",
    look: (images) => shareCounted(images, counted),
  }, {
    name: "counts_nearest",
    what: "numbers of things, by the nearest true image",
    look: (images) => countAccuracy(composition, images, counted),
  }]);
  yield await seedDistances(subject);
}

const captionsOf = (scenes: readonly Scene[]) => scenes.map(({ caption }) => caption);

/** Makes the true images of scenes. */
export async function composeAll(
  { device, composer }: Pick<Composition, "device" | "composer">,
  scenes: readonly Scene[],
  size: number,
): Promise<Images> {
  const values = new Float32Array(3 * size * size * scenes.length);
  for (let at = 0; at < scenes.length; at += AT_A_TIME) {
    const tensor = composer.compose(scenes.slice(at, at + AT_A_TIME), size);
    values.set(await device.read(tensor) as Float32Array, 3 * size * size * at);
    tensor.dispose();
  }
  return { values, size };
}

/** Looks at generated images, and at true ones: what those lack is the measure's own mistake. */
async function* beside(
  subject: Subject,
  composition: Composition,
  scenes: readonly Scene[],
  looks: readonly Look[],
): AsyncGenerator<Figure> {
  if (scenes.length === 0) return;
  const made = valuesOf(await generateAll(subject, captionsOf(scenes)));
  const truths = await composeAll(composition, scenes, made.size);
  for (const { name, what, look } of looks) {
    yield { name, what: `${what}, of ${scenes.length}`, value: await look(made), unit: "%" };
    yield {
      name: `${name}_of_truths`,
      what: "  the same of the true images",
      value: await look(truths),
      unit: "%",
    };
  }
}

/** Two, three and four of things that everybody knows. */
export function countedScenes(rules: SceneRules): Scene[] {
  return COUNTED.flatMap((name, i) => {
    const sprite = rules.sprites.findIndex(({ item }) => item.names.includes(name));
    const nouns = rules.sprites[sprite]?.item.nouns ?? [];
    const noun = nouns.find(({ text }) => text === name) ?? nouns[0];
    if (!noun) return [];
    return [2, 3, 4].map((count): Scene => ({
      caption: `${NUMBER_WORDS[count]} ${noun.plural}`,
      background: WHITE,
      objects: severalObjects(
        rules,
        new Draws(SEED, STREAMS.measured, count, i),
        sprite,
        null,
        count,
      ),
    }));
  });
}

/** Share of images with as many blobs as their scenes have objects; things that touch are one. */
export function shareCounted(images: Images, scenes: readonly Scene[]): number {
  const found = countBlobs(images);
  return scenes.filter(({ objects }, i) => objects.length === found[i]).length / scenes.length;
}

/** How alike images of one prompt are. */
async function seedDistances(subject: Subject): Promise<Figure> {
  const each = Math.max(2, Math.min(SEEDS, subject.images));
  const made = await generateAll(subject, SEEDED.flatMap((prompt) => Array(each).fill(prompt)));
  const value = Object.fromEntries(SEEDED.map((prompt, p) => {
    const images = valuesOf(made.slice(p * each, (p + 1) * each));
    return [prompt, pairwisePsnr(images)];
  }));
  return { name: "seeds_db", what: `${each} seeds of a prompt, pairwise`, value, unit: "dB" };
}
