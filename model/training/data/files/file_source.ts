import { BitwiseError, type Device, FileError, InputError } from "../../../../engine/mod.ts";
import type { Decoder } from "./decoder.ts";
import { checkBatch } from "../base/check.ts";
import { Draws, STREAMS } from "../base/draws.ts";
import { captionsOf, emptySet, type ImageSet } from "./image_set.ts";
import { copyPicture, picturesOf } from "./mirrored.ts";
import { chooseImages } from "../base/order.ts";
import type { Batch, DataSource, Size } from "../base/source.ts";

/** How the images of a set become batches. */
export interface FileSourceOptions {
  readonly sizes: readonly Size[];
  readonly seed: bigint;
  /** What an image that cannot be read does: it stops the batch, or the next one takes its place. */
  readonly broken: "stop" | "skip";
  /** Probability that an image is mirrored. */
  readonly mirror: number;
  /** The least pixels of the shorter side of an image; 0 allows any. */
  readonly minimum: number;
  /** Batches that are made before they are asked for. */
  readonly ahead: number;
  /** The most bytes of images of their final size that are kept, so that the next epoch need not decode them. */
  readonly keep: number;
  /** Receives what is wrong with an image, one line each. */
  readonly onWarning: (line: string) => void;
}

/** Images and captions of a batch, on the host. */
interface Loaded {
  readonly size: Size;
  readonly values: Float32Array<ArrayBuffer>;
  readonly captions: readonly string[];
  readonly pictures: readonly number[];
}

/** Batches of a set of image files, made while the device works on those before. */
export class FileSource implements DataSource {
  readonly sizes: readonly Size[];
  readonly count: number;
  readonly pictures: readonly number[];
  #made = new Map<number, Promise<Loaded>>();
  #batchSize = 0;
  #kept = new Map<number, Float32Array<ArrayBuffer>>();
  #keptBytes = 0;
  #broken = new Set<number>();
  #warned = new Set<string>();
  #disposed = false;

  /**
   * @param groups For each size: the places in the set of the images that have it.
   */
  constructor(
    private readonly device: Device,
    private readonly set: ImageSet,
    private readonly groups: readonly (readonly number[])[],
    private readonly decoder: Decoder,
    private readonly options: FileSourceOptions,
  ) {
    this.sizes = options.sizes;
    this.count = groups.reduce((sum, { length }) => sum + length, 0);
    this.pictures = groups.map(({ length }) => picturesOf(length, options.mirror));
  }

  async batch(step: number, size: number): Promise<Batch> {
    this.#check();
    checkBatch(step, size);
    if (size !== this.#batchSize) this.#made.clear();
    this.#batchSize = size;
    const { ahead } = this.options;
    for (const made of this.#made.keys()) {
      if (made < step || made > step + ahead) this.#made.delete(made);
    }
    for (let next = step; next <= step + ahead; next++) {
      if (this.#made.has(next)) continue;
      const made = this.#load(next, size);
      made.catch(() => {}); // thrown when the batch is asked for
      this.#made.set(next, made);
    }
    const loading = this.#made.get(step)!;
    this.#made.delete(step);
    const { size: { width, height }, values, ...others } = await loading;
    this.#check();
    const images = this.device.from("f32", [size, height, width, 3], values, "images");
    return { images, ...others };
  }

  async #load(step: number, count: number): Promise<Loaded> {
    const { options: { seed, mirror, sizes }, groups } = this;
    const { group, places } = chooseImages(groups.map(({ length }) => length), seed, step, count);
    const size = sizes[group]!;
    const one = size.width * size.height * 3;
    const values = new Float32Array(count * one);
    const made = await Promise.all(places.map(async (wanted, i) => {
      const { rgb, place, caption } = await this.#image(group, wanted, size);
      const draws = new Draws(seed, STREAMS.captions, step, i);
      const target = values.subarray(i * one, (i + 1) * one);
      const picture = copyPicture({ rgb, place, width: size.width }, target, draws, mirror);
      return { caption: caption(draws), picture };
    }));
    return {
      size,
      values,
      captions: made.map(({ caption }) => caption),
      pictures: made.map(({ picture }) => picture),
    };
  }

  /** Reads an image, or if that cannot be used, the next one of its group that can. */
  async #image(group: number, place: number, size: Size) {
    const members = this.groups[group]!;
    for (let i = 0; i < members.length; i++) {
      const taken = (place + i) % members.length;
      const index = members[taken]!;
      if (this.#broken.has(index)) continue;
      try {
        const { path, caption } = await this.set.example(index);
        return { rgb: await this.#decoded(index, path, size), place: taken, caption };
      } catch (error) {
        if (this.#disposed || !(error instanceof BitwiseError)) throw error;
        if (this.options.broken === "stop") throw skippable(error);
        this.#broken.add(index);
        this.#warn(`${error.message}; it is left out`);
      }
    }
    throw emptySet(this.set.name, "none of its images can be used");
  }

  async #decoded(index: number, path: string, { width, height }: Size) {
    const kept = this.#kept.get(index);
    if (kept) return kept;
    const { minimum, keep } = this.options;
    const { rgb, warnings } = await this.decoder.decode({ path, width, height, minimum });
    for (const line of warnings) this.#warn(line);
    // what fits is kept, the rest decoded each time: an epoch asks for all in turn
    if (!this.#kept.has(index) && this.#keptBytes + rgb.byteLength <= keep) {
      this.#kept.set(index, rgb);
      this.#keptBytes += rgb.byteLength;
    }
    return rgb;
  }

  /** Says a line once. */
  #warn(line: string): void {
    if (this.#warned.has(line)) return;
    this.#warned.add(line);
    this.options.onWarning(line);
  }

  #check(): void {
    if (!this.#disposed) return;
    throw new InputError("disposed", "Cannot make a batch: the source of data was disposed");
  }

  captions(most: number): ReadonlySet<string> | null {
    const { set } = this;
    if (!set.captions) return null;
    return captionsOf(this.groups.flat(), (index) => set.captions!(index), most);
  }

  dispose(): void {
    this.#disposed = true;
    this.#made.clear();
    this.#kept.clear();
    this.decoder.dispose();
    this.set.dispose();
  }

  /** Calls {@link FileSource.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Says how to go on without an image. */
function skippable(cause: BitwiseError): FileError {
  const message = `${cause.message}, or leave such images out with broken: "skip"`;
  return new FileError(cause.code, message, { cause, hint: cause.hint ?? "skip-broken" });
}
