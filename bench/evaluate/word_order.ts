/** Measures whether a model tells in which order words stand. */

import type { Device } from "../../engine/mod.ts";
import { openFolder } from "../../model/checkpoint/folder.ts";
import { FolderSource } from "../../model/parts/parts.ts";
import { T5Encoder } from "../../model/text/t5.ts";
import { Tokenizer } from "../../model/text/tokenizer.ts";
import type { TrainConfig } from "../../model/training/config/types.ts";
import type { DataSource } from "../../model/training/data/base/source.ts";
import { RELATION_WORDS } from "../../model/training/data/scenes/vocabulary.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { mean } from "../measuring/measure.ts";
import { teacherForced } from "../measuring/teacher_forcing.ts";

/** Words between two objects, longer ones first, for they may end with shorter ones. */
const BETWEEN = Object.values(RELATION_WORDS).flat().sort((a, b) => b.length - a.length);

/** A caption with its two objects in each other's place; as it is if it has not two. */
export function reordered(caption: string): string {
  const word = BETWEEN.find((word) => caption.includes(` ${word} `));
  return word === undefined ? caption : caption.split(` ${word} `).reverse().join(` ${word} `);
}

/**
 * How far the features of tokens move when objects of captions change places, as a share of their length: 0 if a caption
 * is a set of words to the encoder.
 */
export async function wordOrder(
  { model: { device, config }, folder: path }: {
    readonly model: Pick<InfinityModel, "device" | "config">;
    readonly folder: string;
  },
  captions: readonly string[],
): Promise<number> {
  const folder = openFolder(path);
  const words = Tokenizer.load(await folder.json(config.files.tokenizer), {
    maxLength: config.tokenizer.max_length,
    name: path,
  });
  const encoder = await new FolderSource(folder, config, device).open(
    "text_encoder",
    (weights) => T5Encoder.load(weights, config.text_encoder!),
  );
  const width = encoder.config.d_model;
  /** Features of each token of a caption; of one that stands there twice, the last. */
  const featuresOf = async (caption: string) => {
    const { ids } = words.encode(caption);
    const { features } = encoder.encode([ids]);
    const values = await device.read(features) as Float32Array;
    features.dispose();
    return new Map(ids.map((id, i) => [id, values.subarray(i * width, (i + 1) * width)]));
  };
  let [moved, length] = [0, 0];
  for (const caption of captions) {
    const after = await featuresOf(reordered(caption));
    for (const [id, feature] of await featuresOf(caption)) {
      const other = after.get(id) ?? feature;
      feature.forEach((value, k) => moved += (value - other[k]!) ** 2);
      feature.forEach((value) => length += value ** 2);
    }
  }
  encoder.dispose();
  return Math.sqrt(moved / length);
}

/** The same images, with the two objects of each caption in each other's place. */
function exchanged(data: DataSource): DataSource {
  return {
    sizes: data.sizes,
    count: data.count,
    async batch(step, size) {
      const { images, captions } = await data.batch(step, size);
      return { images, captions: captions.map(reordered) };
    },
    dispose() {},
  };
}

/** Losses of images with their own captions, and with those whose objects change places. */
export interface ExchangeLosses {
  readonly own: readonly number[];
  readonly other: readonly number[];
}

/** Measures a transformer on the first `count` images of `data`, each true scale given. */
export async function exchangeLosses(
  device: Device,
  config: TrainConfig,
  folder: string,
  data: DataSource,
  count: number,
): Promise<ExchangeLosses> {
  const losses = async (data: DataSource) => {
    const found = await teacherForced(device, config, folder, data, { batch: 1, batches: count });
    return found.map(({ loss }) => loss);
  };
  return { own: await losses(data), other: await losses(exchanged(data)) };
}

/** Share of images whose own captions are likelier: a half if the order of words changes nothing. */
export function likelier({ own, other }: ExchangeLosses): number {
  return mean(own.map((loss, i) => loss < other[i]! ? 1 : loss > other[i]! ? 0 : 0.5));
}
