import type { Device, Tensor } from "../../../engine/mod.ts";
import { embedding } from "../../../kernels/tokens/embedding.ts";
import type { VaeConfig } from "../../config/types.ts";
import type { VaeEncoder } from "../../vae/vae_encoder.ts";
import type { Batch, DataSource, Size } from "../data/base/source.ts";

/** The most bytes of features that are kept for the next epoch; where all pictures need more, none are. */
const MOST_BYTES = 256 << 20;

/** The features of all pictures of one size. */
interface Table {
  /** [pictures, h · w · d] f32. */
  readonly rows: Tensor;
  /** Pictures whose row is filled. */
  readonly known: Set<number>;
}

/** Images, and which pictures they are, if that is known. */
export type Shown = Pick<Batch, "images" | "pictures">;

/** Encodes the images of batches; a picture that comes again is looked up, where there is room for all. */
export class ImageFeatures {
  readonly #tables: ReadonlyMap<string, Table>;

  /**
   * @param encoder What encodes; it becomes the features' own.
   * @param pictures The source of all batches.
   * @param most The most bytes that are kept.
   */
  constructor(
    private readonly device: Device,
    private readonly config: VaeConfig,
    private readonly encoder: VaeEncoder,
    { sizes, pictures }: Pick<DataSource, "sizes" | "pictures">,
    most: number = MOST_BYTES,
  ) {
    const shapes = sizes.map((size, i): [number, number] => [
      pictures?.[i] ?? 0,
      this.#shape(size).reduce((product, n) => product * n),
    ]);
    const bytes = shapes.map(([count, width]) => 4 * count * width);
    const fits = bytes.reduce((sum, n) => sum + n, 0) <= most &&
      Math.max(...bytes) <= device.gpu.limits.maxStorageBufferBindingSize;
    this.#tables = device.allOrNothing(() =>
      new Map(sizes.flatMap((size, i): [string, Table][] => {
        const [count] = shapes[i]!;
        if (!fits || count === 0) return [];
        const rows = device.tensor("f32", shapes[i]!, "features of all images");
        return [[keyOf(size), { rows, known: new Set() }]];
      }))
    );
  }

  /** [B, h, w, d] f32, which the caller disposes of. The images stay the caller's. */
  encode({ images, pictures }: Shown): Tensor {
    const [, height = 0, width = 0] = images.shape;
    const size = { width, height };
    const table = pictures && this.#tables.get(keyOf(size));
    if (!table) return this.encoder.encode(images);
    if (pictures.every((picture) => table.known.has(picture))) {
      return this.#lookUp(table, pictures, size);
    }
    const features = this.encoder.encode(images);
    this.#keep(table, pictures, features);
    return features;
  }

  /** Keeps the features of pictures that are new. */
  #keep({ rows, known }: Table, pictures: readonly number[], features: Tensor): void {
    for (const [i, picture] of pictures.entries()) {
      if (known.has(picture)) continue;
      known.add(picture);
      const row = features.rows(i, 1);
      this.device.copy(row, rows, picture * row.byteLength);
    }
  }

  #lookUp({ rows }: Table, pictures: readonly number[], size: Size): Tensor {
    const { device } = this;
    using ids = device.from("u32", [pictures.length], Uint32Array.from(pictures), "pictures");
    return device.allOrNothing(() => {
      const y = device.tensor("f32", [pictures.length, ...this.#shape(size)], "features");
      embedding(device, { ids, table: rows, y });
      return y;
    });
  }

  /** Height, width and channels of an image's features. */
  #shape({ width, height }: Size): [number, number, number] {
    const { patch_size: patch, codebook_dim: d } = this.config;
    return [height / patch, width / patch, d];
  }

  /** Frees the encoder, and what is kept. */
  dispose(): void {
    this.encoder.dispose();
    for (const { rows } of this.#tables.values()) rows.dispose();
  }
}

function keyOf({ width, height }: Size): string {
  return `${width}x${height}`;
}
