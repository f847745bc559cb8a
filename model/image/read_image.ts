/** Reads image files of common formats, row by row or whole, upright and in the colours of sRGB. */

import { InputError, isObject, quote, recognise } from "../../engine/mod.ts";
import { exchangesSides, upright } from "./base/exif.ts";
import { readProfile } from "./icc.ts";
import { unreadable } from "./base/errors.ts";
import { inTurns } from "./base/turns.ts";
import type { Image } from "./png.ts";
import { fitAlpha, fitImage, fitMask } from "./resize.ts";
import type { ImageLimits, RowSource } from "./base/rows.ts";

/** An image file that is open: its header is read, its pixels are decoded at each use. */
export interface OpenImage {
  /** Pixels across, upright. */
  readonly width: number;
  /** Pixels down, upright. */
  readonly height: number;
  /** Whether no pixel can be transparent. */
  readonly opaque: boolean;
  /** What was changed or not applied, one line each, such as `"cat.png": its colour profile "X" is not applied`. */
  readonly warnings: readonly string[];
  /**
   * Scales the image with Lanczos to cover width × height, and crops the centre. Transparent parts become
   * white. Keeps a few rows of a file at a time.
   *
   * @returns RGB in [-1, 1], float32 [height, width, 3]; the same array if it is asked for again.
   * @throws {FileError} The file is corrupt; the same holds below.
   */
  fit(width: number, height: number): Promise<Float32Array<ArrayBuffer>>;
  /** Fits its luminance by area means, as a mask. @returns Coverage in [0, 1], float32 [height, width]. */
  fitMask(width: number, height: number): Promise<Float32Array<ArrayBuffer>>;
  /** Fits its transparency in the same way. @returns 1 where it is clear, float32 [height, width]. */
  fitAlpha(width: number, height: number): Promise<Float32Array<ArrayBuffer>>;
  /** Decodes the whole image. */
  image(): Promise<Image>;
}

/** An image file that is read row by row. */
class ImageFile implements OpenImage {
  readonly width: number;
  readonly height: number;
  readonly opaque: boolean;
  readonly warnings: readonly string[];
  readonly #source: RowSource;
  /** The last that {@link ImageFile.fit} made: a plan asks for it, then the generation. */
  #fitted: {
    readonly width: number;
    readonly height: number;
    readonly rgb: Float32Array<ArrayBuffer>;
  } | null = null;

  constructor(source: RowSource, name: string) {
    const { icc, orientation, opaque } = source;
    const profile = icc && readProfile(icc);
    const unapplied = profile?.kind === "unknown"
      ? [`its colour profile ${profile.name && `${quote(profile.name)} `}is not applied`]
      : [];
    const swap = exchangesSides(orientation);
    this.#source = profile?.kind === "convert" ? converted(source, profile.convert) : source;
    this.width = swap ? source.height : source.width;
    this.height = swap ? source.width : source.height;
    this.opaque = opaque;
    this.warnings = [...source.warnings, ...unapplied].map((line) => `${quote(name)}: ${line}`);
  }

  async fit(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    if (this.#fitted?.width !== width || this.#fitted.height !== height) {
      this.#fitted = { width, height, rgb: await this.#fit(fitImage, width, height, 3) };
    }
    return this.#fitted.rgb;
  }

  fitMask(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    return this.#fit(fitMask, width, height, 1);
  }

  fitAlpha(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    return this.#fit(fitAlpha, width, height, 1);
  }

  async image(): Promise<Image> {
    const { width, height, orientation } = this.#source;
    const rgba = new Uint8Array(width * height * 4);
    let at = 0;
    for await (const rows of this.#source.rows()) {
      rgba.set(rows, at);
      at += rows.length;
    }
    const turned = upright(new Uint32Array(rgba.buffer), width, height, orientation);
    return { width: this.width, height: this.height, rgba: new Uint8Array(turned.buffer) };
  }

  async #fit(
    fit: typeof fitImage,
    width: number,
    height: number,
    channels: number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { orientation } = this.#source;
    const [across, down] = exchangesSides(orientation) ? [height, width] : [width, height];
    const fitted = await fit(this.#source, across, down);
    return upright(fitted, across, down, orientation, channels);
  }
}

/**
 * Opens a PNG, JPEG or WebP file, recognised by its first bytes, without decoding its pixels.
 *
 * Its pixels are 8-bit RGBA, upright by EXIF orientation, and in sRGB if an embedded colour profile
 * consists of curves and a matrix, or of one grey curve. What else a file has is left out with a warning.
 *
 * @param file The file's bytes, which must not change.
 * @param name The file's name, for messages only.
 * @param limits The most pixels that it may have, and a signal that stops decoding.
 *
 * @example
 * ```ts
 * import { encodePng, InfinityModel, openImage } from "@bitwise/infinity";
 *
 * const file = encodePng(new Uint8Array(64 * 48 * 4).fill(200), 64, 48); // or a JPEG, or a WebP
 * const image = await openImage(file, "cat.png", { maxPixels: 10_000_000 });
 * for (const line of image.warnings) console.warn(line);
 * using model = await InfinityModel.load();
 * const bits = await model.encode(image);
 * console.log(image.width, bits.width);
 * ```
 *
 * @throws {FileError} The file is not an image of these formats, or is incomplete, or has too many pixels.
 * @throws {InputError} An argument has another type.
 */
export async function openImage(
  file: Uint8Array,
  name: string,
  limits: ImageLimits = {},
): Promise<OpenImage> {
  checkArguments(file, name, limits);
  const source = await openRows(file, name, limits);
  return new ImageFile({ ...source, rows: () => inTurns(source.rows(), limits.signal) }, name);
}

/** Whether a value is what {@linkcode openImage} returned. */
export function isOpenImage(value: unknown): value is OpenImage {
  return value instanceof ImageFile;
}

/** For callers without a type checker. */
function checkArguments(file: unknown, name: unknown, limits: unknown): void {
  const refuse = (code: string, what: string): never => {
    throw new InputError(code, `Cannot open an image: ${what}`);
  };
  if (!(file instanceof Uint8Array)) {
    refuse("not-an-image", "give the bytes of a PNG, JPEG or WebP file in a Uint8Array");
  }
  if (typeof name !== "string") refuse("bad-type", "its name must be a string");
  if (!isObject(limits)) refuse("bad-type", "its limits must be an object");
  const { maxPixels = 1, signal } = limits as Record<string, unknown>;
  if (!(typeof maxPixels === "number" && maxPixels > 0)) {
    refuse("bad-value", "maxPixels must be a number above 0");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    refuse("bad-type", "signal must be an AbortSignal");
  }
}

async function openRows(file: Uint8Array, name: string, limits: ImageLimits): Promise<RowSource> {
  if (file.length === 0) {
    throw unreadable(name, "empty-file", "the file is empty; use a PNG, JPEG or WebP image");
  }
  const head = String.fromCharCode(...file.subarray(0, 16));
  if (head.startsWith("\x89PNG\r\n\x1a\n")) {
    const { openPng } = await import("./png/rows.ts");
    return openPng(file, name, limits);
  }
  if (head.startsWith("\xff\xd8\xff")) {
    const { openJpeg } = await import("./jpeg/rows.ts");
    return openJpeg(file, name, limits);
  }
  if (/^RIFF....WEBP/s.test(head)) {
    const { openWebp } = await import("./webp_rows.ts");
    return openWebp(file, name, limits);
  }
  const other = recognise(file, "save it as a PNG, JPEG or WebP image");
  const why = other ?? "not a PNG, JPEG or WebP image; save it as one of these";
  throw unreadable(name, "not-an-image", `it is ${why}`);
}

/** Changes the colours of a source. */
function converted(source: RowSource, convert: (rgba: Uint8Array) => void): RowSource {
  return {
    ...source,
    async *rows() {
      let own = new Uint8Array();
      for await (const rows of source.rows()) {
        if (own.length < rows.length) own = new Uint8Array(rows.length);
        const copy = own.subarray(0, rows.length);
        copy.set(rows);
        convert(copy);
        yield copy;
      }
    },
  };
}
