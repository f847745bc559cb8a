import { encodePng, type Image } from "../../image/png.ts";

/** The method that a Jupyter notebook calls to show a value. */
export const JUPYTER_DISPLAY: unique symbol = Symbol.for("Jupyter.display");

/** A decoded image, which can be encoded as a PNG file. */
export class DecodedImage implements Readonly<Image> {
  /** Makes an image of RGBA bytes, row-major. */
  constructor(
    /** RGBA bytes, row-major. */
    readonly rgba: Uint8Array<ArrayBuffer>,
    /** Pixels across. */
    readonly width: number,
    /** Pixels down. */
    readonly height: number,
  ) {}

  /**
   * Encodes the image as a PNG file.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const { images: [apple] } = await model.generate("red apple");
   * const response = new Response(apple!.toPng(), { headers: { "content-type": "image/png" } });
   * console.log(response.status);
   * ```
   */
  toPng(): Uint8Array<ArrayBuffer> {
    return encodePng(this.rgba, this.width, this.height);
  }

  /** Encodes the image as a PNG file of type `image/png`. */
  toBlob(): Blob {
    return new Blob([this.toPng()], { type: "image/png" });
  }

  /** Returns what `JSON.stringify()` writes: the size, no pixels. */
  toJSON(): Record<string, unknown> {
    return { width: this.width, height: this.height };
  }

  /** Shows the image in a Jupyter notebook: its PNG in base64, by MIME type. */
  [JUPYTER_DISPLAY](): Record<string, string> {
    return { "image/png": this.toPng().toBase64() };
  }
}
