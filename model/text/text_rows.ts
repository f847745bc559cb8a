import { type Device, InputError, type Tensor } from "../../engine/mod.ts";
import { offsets } from "../config/offsets.ts";

/** Text features of a batch on the GPU: of the conditional half, then with guidance of the unconditional half. */
export interface TextFeatures {
  /** [ΣT, Ct5] f32. */
  readonly features: Tensor;
  /** Number of tokens of each sequence. */
  readonly lens: readonly number[];
}

/** Text features given instead of a prompt. */
export interface FeatureRows {
  /** Rows of all images, concatenated [ΣT, width]. */
  readonly features: Float32Array;
  /** Channels per row. */
  readonly width: number;
  /** Number of rows of each image. */
  readonly lens: readonly number[];
}

/** Rows of one text in a tensor. */
export interface RowRange {
  /** Rows of all texts [ΣT, C]. */
  readonly tensor: Tensor;
  /** First row of this text. */
  readonly start: number;
  /** Number of rows. */
  readonly count: number;
}

/** Collects text features from the encoder, from files and from `cfg_uncond` into one packed tensor. */
export class TextRows {
  #owned: Tensor[] = [];

  /** Collects rows of `width` channels on `device`. */
  constructor(private readonly device: Device, private readonly width: number) {}

  /** Returns the rows of `count` encoded texts, starting with text `first`. */
  range(encoded: TextFeatures, first: number, count: number): RowRange[] {
    const starts = offsets(encoded.lens);
    return encoded.lens.slice(first, first + count).map((n, i) => ({
      tensor: encoded.features,
      start: starts[first + i]!,
      count: n,
    }));
  }

  /** Takes over a tensor of texts as long as those of `like`, and returns their rows. */
  own(tensor: Tensor, like: readonly RowRange[]): RowRange[] {
    this.#owned.push(tensor);
    return this.range({ features: tensor, lens: like.map((r) => r.count) }, 0, like.length);
  }

  /**
   * Uploads texts from the caller. @throws {InputError} `wrong-shape`; `bad-value`: a length is not a whole number
   * above 0.
   */
  upload({ features, width, lens }: FeatureRows): RowRange[] {
    const rows = lens.reduce((sum, n) => sum + n, 0);
    const bad = lens.find((n) => !Number.isInteger(n) || n < 1);
    if (bad !== undefined) {
      throw new InputError(
        "bad-value",
        `Cannot use text features of ${bad} rows: each of lens must be a whole number of at least 1`,
      );
    }
    if (width !== this.width || features.length !== rows * width) {
      throw new InputError(
        "wrong-shape",
        `Cannot use text features [${
          features.length / width
        }, ${width}] with ${rows} rows in lens: ` +
          `the model reads [rows, ${this.width}]`,
      );
    }
    const data = Float32Array.from(features);
    const tensor = this.device.from("f32", [rows, width], data, "text features");
    this.#owned.push(tensor);
    return this.range({ features: tensor, lens }, 0, lens.length);
  }

  /** Copies texts into one packed tensor, which the caller owns. */
  gather(ranges: readonly RowRange[]): TextFeatures {
    const lens = ranges.map((r) => r.count);
    const total = lens.reduce((sum, n) => sum + n, 0);
    const features = this.device.tensor("f32", [total, this.width], "text features");
    let at = 0;
    for (const { tensor, start, count } of ranges) {
      this.device.copy(tensor.rows(start, count), features, at * this.width * 4);
      at += count;
    }
    return { features, lens };
  }

  /** Frees the tensors that were uploaded or taken over. */
  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}
