/// <reference lib="dom" />

import type { Made } from "../../serve/jobs/job.ts";

/** The signature, and IHDR with its length, type and checksum: text comes after them. */
const AFTER_HEADER = 8 + 25;

/** Encodes an image as a PNG file by the browser, and adds its parameters as web UIs do. */
export async function pngFile({ width, height, rgba, parameters }: Made): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(new Uint8ClampedArray(rgba), width, height);
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  const file = await canvas.convertToBlob({ type: "image/png" });
  const [before, after] = [file.slice(0, AFTER_HEADER), file.slice(AFTER_HEADER)];
  return new Blob([before, textChunk("parameters", parameters), after], { type: "image/png" });
}

/** A chunk of text: tEXt if Latin-1 can hold it, else iTXt in UTF-8, uncompressed. */
export function textChunk(keyword: string, value: string): Uint8Array<ArrayBuffer> {
  const text = value.replaceAll("\0", "");
  const latin1 = /^[\0-\xff]*$/.test(text);
  const body = latin1
    ? Uint8Array.from(`${keyword}\0${text}`, (letter) => letter.charCodeAt(0))
    : new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(body.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length);
  chunk.set(new TextEncoder().encode(latin1 ? "tEXt" : "iTXt"), 4);
  chunk.set(body, 8);
  view.setUint32(body.length + 8, crc32(chunk.subarray(4, -4)));
  return chunk;
}

/** The checksum of PNG's chunks, bit by bit: texts are short. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
