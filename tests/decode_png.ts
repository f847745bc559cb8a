import { Buffer } from "node:buffer";
import { PNG } from "pngjs";
import type { Image } from "../model/image/png.ts";

/** Decodes a PNG with pngjs, which shares no code with our own reader. */
export function decodePng(file: Uint8Array): Image {
  const { width, height, data } = PNG.sync.read(Buffer.from(file));
  return { width, height, rgba: Uint8Array.from(data) };
}
