import type { Device } from "../../../../engine/mod.ts";
import { atLeast, checkOptions, FLAG, FUNCTION, oneOf, SEED, SHARE, SIZES } from "../base/check.ts";
import { openDecoder, usualWorkers } from "./decoder.ts";
import { FileSource } from "./file_source.ts";
import { openImageFolder } from "./folder.ts";
import { emptySet, type ImageSet } from "./image_set.ts";
import { openJsonlFolder } from "./jsonl.ts";
import { SheetSource } from "./sheet.ts";
import type { DataSource, Size, Which } from "../base/source.ts";

/** Where images are, and which of them are wanted. */
export interface ImageOptions {
  /** How they are stored; see {@link openImageFolder}, {@link openJsonlFolder} and {@link SheetSource}. */
  readonly kind: "folder" | "jsonl" | "sheet";
  /** Path of the folder. */
  readonly path: string;
  /** Sizes of the model's images. An image takes the one whose aspect ratio is nearest, and is fitted to it. */
  readonly sizes: readonly Size[];
  /** Decides order, captions and mirroring; 0 if absent. */
  readonly seed?: bigint;
  /** Images that are not held out, those that are, or both; "training" if absent. */
  readonly which?: Which;
  /** Share of a folder's images that is held out; 0 if absent. A sheet says itself which are. */
  readonly heldOut?: number;
  /** Whether images without captions are used too; false if absent. */
  readonly uncaptioned?: boolean;
  /** What an image that cannot be read does; "stop" if absent. With "skip" the next one takes its place. */
  readonly broken?: "stop" | "skip";
  /** Probability that an image is mirrored; 0 if absent, since captions may say left and right. */
  readonly mirror?: number;
  /** The least pixels of the shorter side of an image; 0 if absent. Smaller images are broken ones. */
  readonly minimum?: number;
  /** Workers that decode; if absent as many as there are cores for, up to 8. 0 decodes in the main thread. */
  readonly workers?: number;
  /** Batches that are made before they are asked for; 2 if absent. */
  readonly ahead?: number;
  /** The most bytes of decoded images that are kept for the next epoch; 2^28 if absent. */
  readonly keep?: number;
  /** Receives what is left out, replaced or not applied, one line each. */
  readonly onWarning?: (line: string) => void;
}

const RULES = {
  kind: oneOf("folder", "jsonl", "sheet"),
  sizes: SIZES,
  seed: SEED,
  which: oneOf("training", "measuring", "all"),
  heldOut: SHARE,
  uncaptioned: FLAG,
  broken: oneOf("stop", "skip"),
  mirror: SHARE,
  minimum: atLeast(0),
  workers: atLeast(0, 64),
  ahead: atLeast(0, 64),
  keep: atLeast(0),
  onWarning: FUNCTION,
};

/**
 * Opens images with captions. Needs permission to read `path`, and for Workers the folder of this library; without the
 * latter, images are decoded in the main thread, and a warning says so.
 *
 * @throws {FileError} The set is empty, or the folder or a caption file cannot be read.
 * @throws {InputError} `bad-value`: an option is out of range, or has another type.
 */
export async function openImages(device: Device, options: ImageOptions): Promise<DataSource> {
  checkOptions(options, RULES);
  const { kind, path, sizes, seed = 0n, which = "training", mirror = 0 } = options;
  if (kind === "sheet") {
    const size = sizes[nearestSize(sizes, 1)]!; // tiles are square
    return await SheetSource.open(device, path, { size, seed, which, mirror });
  }
  const { onWarning = () => {}, uncaptioned = false, broken = "stop", minimum = 0 } = options;
  const set = kind === "jsonl"
    ? await openJsonlFolder(path)
    : await openImageFolder(path, { uncaptioned, onWarning });
  try {
    const groups = await grouped(set, options, onWarning);
    const decoder = await openDecoder(options.workers ?? usualWorkers(), onWarning);
    return new FileSource(device, set, groups, decoder, {
      sizes,
      seed,
      broken,
      mirror,
      minimum,
      ahead: options.ahead ?? 2,
      keep: options.keep ?? 2 ** 28,
      onWarning,
    });
  } catch (error) {
    set.dispose();
    throw error;
  }
}

/** For each size: the places of the wanted images whose aspect ratio is nearest to it. */
async function grouped(
  set: ImageSet,
  { sizes, which = "training", heldOut = 0, broken }: ImageOptions,
  onWarning: (line: string) => void,
): Promise<number[][]> {
  const groups: number[][] = sizes.map(() => []);
  for (let i = 0; i < set.count; i++) {
    if (which !== "all" && (lot(set.key(i)) < heldOut) !== (which === "measuring")) continue;
    if (sizes.length === 1) {
      groups[0]!.push(i);
      continue;
    }
    try {
      groups[nearestSize(sizes, await set.ratio(i))]!.push(i);
    } catch (error) {
      if (broken !== "skip" || !(error instanceof Error)) throw error;
      onWarning(`${error.message}; it is left out`);
    }
  }
  if (groups.every(({ length }) => length === 0)) {
    throw emptySet(set.name, `it has no images for ${which}: ${heldOut} of them are held out`);
  }
  return groups;
}

function nearestSize(sizes: readonly Size[], ratio: number): number {
  const distance = ({ width, height }: Size) => Math.abs(height / width - ratio);
  let best = 0;
  sizes.forEach((size, i) => {
    if (distance(size) < distance(sizes[best]!)) best = i;
  });
  return best;
}

/** A number in [0, 1) that depends on a text alone (FNV-1a). */
function lot(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  return ((hash ^ hash >>> 13) >>> 0) / 2 ** 32;
}
