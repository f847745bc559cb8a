import { InputError } from "../../engine/mod.ts";

/** Refuses: a browser encodes images, but not at once. @throws {InputError} `no-png`. */
export function encodePng(
  _rgba: Uint8Array,
  _width: number,
  _height: number,
): Uint8Array<ArrayBuffer> {
  const message = "Cannot encode a PNG at once in a browser: draw the pixels on a canvas";
  throw new InputError("no-png", message);
}
