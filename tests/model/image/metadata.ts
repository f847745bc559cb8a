/** Files whose EXIF metadata hold an orientation. */

import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";
import { chunk } from "../../../model/image/png/chunks.ts";

/** EXIF metadata that hold an orientation only. */
export function exif(orientation: number, order: "II" | "MM" = "MM"): Uint8Array<ArrayBuffer> {
  const little = order === "II";
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little); // offset of the only directory
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x112, little);
  view.setUint16(12, 3, little); // type: short
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return new Uint8Array(view.buffer);
}

/** Puts metadata and a colour profile into a file, as each format stores them. */
export const METADATA = {
  /** After the first marker; a profile in segments of 100 bytes at most, the last one first. */
  JPEG(file: Uint8Array, { exif, icc }: Metadata): Uint8Array<ArrayBuffer> {
    const segments: Uint8Array[] = [];
    if (exif) segments.push(segment(0xe1, Buffer.concat([Buffer.from("Exif\0\0"), exif])));
    const count = Math.ceil((icc?.length ?? 0) / 100);
    for (let i = count; i > 0; i--) {
      const head = Buffer.from(`ICC_PROFILE\0${String.fromCharCode(i, count)}`, "latin1");
      segments.push(segment(0xe2, Buffer.concat([head, icc!.subarray(100 * (i - 1), 100 * i)])));
    }
    return joined(file.subarray(0, 2), ...segments, file.subarray(2));
  },
  /** Around the only chunk, in a file of the extended kind. */
  WebP(file: Uint8Array, { exif, icc }: Metadata, width: number, height: number) {
    const flags = (icc ? 0x20 : 0) | (exif ? 8 : 0);
    const [w, h] = [width - 1, height - 1];
    const size = [w & 255, w >> 8, 0, h & 255, h >> 8, 0];
    const body = joined(
      riffChunk("VP8X", Uint8Array.from([flags, 0, 0, 0, ...size])),
      icc ? riffChunk("ICCP", icc) : new Uint8Array(),
      file.subarray(12),
      exif ? riffChunk("EXIF", exif) : new Uint8Array(),
    );
    return joined(riffChunk("RIFF", joined(Buffer.from("WEBP"), body)));
  },
  /** After the header. */
  PNG(file: Uint8Array, { exif, icc }: Metadata): Uint8Array<ArrayBuffer> {
    const chunks: Uint8Array[] = [];
    if (icc) chunks.push(chunk("iCCP", Buffer.concat([Buffer.from("p\0\0"), deflateSync(icc)])));
    if (exif) chunks.push(chunk("eXIf", Buffer.from(exif)));
    return joined(file.subarray(0, 33), ...chunks, file.subarray(33));
  },
};

interface Metadata {
  readonly exif?: Uint8Array;
  readonly icc?: Uint8Array;
}

function segment(marker: number, data: Uint8Array): Uint8Array {
  const length = data.length + 2;
  return joined(Uint8Array.from([0xff, marker, length >> 8, length & 255]), data);
}

function riffChunk(type: string, data: Uint8Array): Uint8Array {
  const head = Buffer.alloc(8);
  head.write(type, "latin1");
  head.writeUInt32LE(data.length, 4);
  return joined(head, data, new Uint8Array(data.length % 2));
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}
