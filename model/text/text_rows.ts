import { type Device, InputError, type Tensor } from "../../engine/mod.ts";

/** Text features of a batch on the GPU: conditional images, then unconditional ones where there is guidance. */
export interface TextFeatures {
  /** [ΣT, Ct5] f32. */
  readonly features: Tensor;
  /** Tokens of each image. */
  readonly lens: readonly number[];
}

/** Text features given in place of a prompt. */
export interface FeatureRows {
  /** Rows of all images one after another [ΣT, width]. */
  readonly features: Float32Array;
  /** Channels of a row. */
  readonly width: number;
  /** Rows of each image. */
  readonly lens: readonly number[];
}

/** Rows of one text in a tensor. */
export interface RowRange {
  /** Rows of all texts [ΣT, C]. */
  readonly tensor: Tensor;
  /** First row of this text. */
  readonly start: number;
  /** Its rows. */
  readonly count: number;
}

/** Collects text features from encoder, files and cfg_uncond into one packed tensor. */
export class TextRows {
  #owned: Tensor[] = [];

  /** Collects rows of `width` channels. */
  constructor(private readonly device: Device, private readonly width: number) {}

  /** `count` texts of what the encoder made, from text `first` on. */
  range(encoded: TextFeatures, first: number, count: number): RowRange[] {
    const starts = encoded.lens.map((_, i) => encoded.lens.slice(0, i).reduce((a, n) => a + n, 0));
    return encoded.lens.slice(first, first + count).map((n, i) => ({
      tensor: encoded.features,
      start: starts[first + i]!,
      count: n,
    }));
  }

  /** Texts as long as those of `like`, in a tensor that is disposed with this object. */
  own(tensor: Tensor, like: readonly RowRange[]): RowRange[] {
    this.#owned.push(tensor);
    return this.range({ features: tensor, lens: like.map((r) => r.count) }, 0, like.length);
  }

  /** Texts from the caller. @throws {InputError} `wrong-shape`. */
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

  /** Releases what was uploaded or handed over. */
  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}
