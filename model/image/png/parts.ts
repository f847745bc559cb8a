/** What a PNG file says about its pixels: size, form, palette, colours, orientation. */

import type { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { orientationOf } from "../base/exif.ts";
import { headless } from "../base/errors.ts";
import { chunks, corruptPng, isCritical, type PngHeader, readHeader } from "./chunks.ts";
import type { Orientation } from "../base/rows.ts";

/** A PNG file, its pixels still compressed. */
export interface PngParts {
  readonly header: PngHeader;
  /** zlib data in pieces. */
  readonly data: readonly Uint8Array[];
  /** Of a file whose pixels are indices: red, green and blue of each. */
  readonly palette?: Uint8Array;
  /** Of a palette, the alpha of the first indices; else the colour that is transparent, 16 bits a channel. */
  readonly transparency?: Uint8Array;
  readonly orientation: Orientation;
  /** An ICC profile. */
  readonly profile?: Uint8Array;
  /** See `RowSource`. */
  readonly warnings: readonly string[];
}

/** The chunks that matter, the first of each kind. */
type Found = ReadonlyMap<string, Buffer>;

const USED = ["PLTE", "tRNS", "eXIf", "iCCP", "sRGB", "gAMA", "cHRM", "cICP", "acTL"];
const MAX_PROFILE = 2 ** 24;
// What gAMA and cHRM (in 1/100,000) and cICP say of sRGB.
const SRGB_GAMMA = 45455;
const SRGB_PRIMARIES = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000];
const SRGB_CODES = [1, 13, 0, 1];

/**
 * Reads and checks everything but the pixels.
 *
 * @param name The file's name, for messages only.
 * @throws {FileError} `bad-image`, `truncated-image`.
 */
export function readParts(bytes: Uint8Array, name: string): PngParts {
  let header: PngHeader | undefined;
  const found = new Map<string, Buffer>();
  const data: Buffer[] = [];
  let damaged = 0;
  let ended = false;
  for (const chunk of chunks(bytes, name)) {
    const { type, intact } = chunk;
    if (type !== "IDAT" && data.length > 0) ended = true;
    if (!header) header = readHeader(chunk, name);
    else if (!intact) damaged++;
    else if (type === "IDAT") {
      if (!ended) data.push(chunk.data); // data that are apart from the first belong to no image
    } else if (USED.includes(type)) {
      if (!found.has(type) && (type !== "PLTE" || !data.length)) found.set(type, chunk.data);
    } else if (isCritical(type) && type !== "IEND") {
      throw corruptPng(
        name,
        `it has ${type === "IHDR" ? "two headers" : `the unknown chunk ${type}`}`,
      );
    }
  }
  if (!header || data.length === 0) throw headless(name, "PNG");
  const warnings = warningsFor(header, found, damaged);
  const profile = readProfile(found, warnings);
  return {
    header,
    data,
    palette: checkedPalette(header, found, name),
    transparency: checkedTransparency(header, found),
    orientation: orientationOf(found.get("eXIf") ?? new Uint8Array()),
    profile,
    warnings,
  };
}

function checkedPalette({ colour }: PngHeader, found: Found, name: string): Buffer | undefined {
  if (colour !== "palette") return undefined;
  const palette = found.get("PLTE");
  if (!palette) throw corruptPng(name, "it has no palette");
  const colours = palette.length / 3;
  if (!Number.isInteger(colours) || colours < 1 || colours > 256) {
    throw corruptPng(name, `its palette has ${palette.length} bytes`);
  }
  return palette;
}

/** Returns tRNS if it is what the colour type allows; libpng ignores any other. */
function checkedTransparency({ colour }: PngHeader, found: Found): Buffer | undefined {
  const transparency = found.get("tRNS");
  const length = transparency?.length ?? 0;
  const allowed = colour === "palette"
    ? length > 0 && length <= found.get("PLTE")!.length / 3
    : length === (colour === "grey" ? 2 : colour === "RGB" ? 6 : NaN);
  return allowed ? transparency : undefined;
}

function warningsFor({ depth }: PngHeader, found: Found, damaged: number): string[] {
  const warnings: string[] = [];
  if (depth === 16) warnings.push("it has 16 bits per channel; 8 are used");
  if (found.has("acTL")) warnings.push("it is animated; its still image is used");
  if (damaged > 0) {
    const what = damaged === 1 ? "a damaged chunk is" : `${damaged} damaged chunks are`;
    warnings.push(`${what} left out`);
  }
  if (otherColours(found)) {
    warnings.push("its colours are not sRGB's; they are taken as if they were");
  }
  return warnings;
}

/** Whether a file names a colour space other than sRGB in a chunk that is not applied. */
function otherColours(found: Found): boolean {
  const cicp = found.get("cICP");
  if (cicp) return !SRGB_CODES.every((code, i) => cicp[i] === code);
  if (found.has("iCCP") || found.has("sRGB")) return false;
  const [gamma, primaries] = [found.get("gAMA"), found.get("cHRM")];
  // libpng, too, sees no difference below 5 % of gamma and 0.01 of a coordinate
  return gamma?.length === 4 && Math.abs(gamma.readUInt32BE() / SRGB_GAMMA - 1) > 0.05 ||
    primaries?.length === 32 &&
      SRGB_PRIMARIES.some((value, i) => Math.abs(primaries.readUInt32BE(4 * i) - value) > 1000);
}

/** Decompresses iCCP; adds a warning if that fails. */
function readProfile(found: Found, warnings: string[]): Uint8Array | undefined {
  const profile = found.get("iCCP");
  if (!profile) return undefined;
  try {
    const compressed = profile.subarray(profile.indexOf(0) + 2); // after the name and the method
    return new Uint8Array(inflateSync(compressed, { maxOutputLength: MAX_PROFILE }));
  } catch {
    warnings.push("its colour profile is damaged; its colours are taken as sRGB");
    return undefined;
  }
}
