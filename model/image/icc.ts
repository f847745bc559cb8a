/** Converts colours from an embedded ICC profile to sRGB, if the profile is arithmetic alone. */

import { readCurve, sampleCurve } from "./icc_curves.ts";

/** What a profile asks for. */
export type Profile =
  | { readonly kind: "srgb" }
  /** `convert` changes RGBA in place. */
  | { readonly kind: "convert"; readonly convert: (rgba: Uint8Array) => void }
  /** It needs more than arithmetic, or is damaged; `name` is any text, or empty. */
  | { readonly kind: "unknown"; readonly name: string };

// From XYZ under D50, which all profiles share, to linear sRGB: the inverse of the colourants in the
// ICC's own sRGB profiles.
const TO_SRGB = inverse([
  [0.436066, 0.385147, 0.143066],
  [0.222488, 0.716873, 0.060608],
  [0.013916, 0.097076, 0.714096],
]);
const MAX_TAGS = 200;
// By a linear value in units of 1/65535: its byte in sRGB, rounded.
const LINEAR = 65535;
let encoded: Uint8Array | undefined;

/**
 * Reads a profile.
 *
 * RGB profiles of three curves and a matrix, as displays and cameras have, and grey ones of a curve
 * are converted, relative to white and cut at the borders of sRGB. Source: ICC.1:2022, "Three-component
 * matrix-based profiles" and "Monochrome input profiles".
 *
 * @param bytes The profile, of which nothing is trusted.
 *
 * @example
 * ```ts
 * import { readProfile } from "./icc.ts";
 *
 * readProfile(new Uint8Array(128)); // unknown
 * ```
 */
export function readProfile(bytes: Uint8Array): Profile {
  const tags = readTags(bytes);
  const unknown = { kind: "unknown", name: nameOf(tags) } as const;
  if (ascii(bytes, 36, 4) !== "acsp") return unknown;
  const [space, connection] = [ascii(bytes, 16, 4), ascii(bytes, 20, 4)];
  const curve = (name: string) => {
    const data = tags.get(name);
    const read = data && readCurve(data);
    return read && sampleCurve(read);
  };
  if (space === "GRAY") {
    const grey = curve("kTRC");
    if (!grey) return unknown;
    return profileOf([grey, grey, grey].map((values, c) => {
      const linear = connection === "Lab " ? values.map(luminanceOf) : values;
      return [0, 1, 2].map((row) => linear.map((value) => row === c ? value : 0));
    }));
  }
  const curves = ["rTRC", "gTRC", "bTRC"].map(curve);
  const columns = ["rXYZ", "gXYZ", "bXYZ"].map((name) => readXyz(tags.get(name)));
  if (space !== "RGB " || connection !== "XYZ ") return unknown;
  if (!curves.every((values) => values) || !columns.every((column) => column)) return unknown;
  return profileOf(columns.map((column, c) =>
    TO_SRGB.map((row) => {
      const weight = row.reduce((sum, value, i) => sum + value * column![i]!, 0);
      return curves[c]!.map((value) => value * weight);
    })
  ));
}

/** What one channel adds to linear red, green and blue of sRGB, by its byte. */
type Channel = readonly Float64Array[];

function profileOf(channels: readonly Channel[]): Profile {
  const convert = converter(channels);
  return keepsColours(convert) ? { kind: "srgb" } : { kind: "convert", convert };
}

function converter(channels: readonly Channel[]): (rgba: Uint8Array) => void {
  const table = encoded ??= Uint8Array.from({ length: LINEAR + 1 }, (_, i) => encode(i / LINEAR));
  const scaled = channels.flatMap((sums) =>
    sums.map((sum) => sum.map((value) => value * LINEAR + 1 / 6))
  );
  const [rr, rg, rb, gr, gg, gb, br, bg, bb] = scaled as [Float64Array, ...Float64Array[]];
  return (rgba) => {
    for (let i = 0; i < rgba.length; i += 4) {
      const r = rgba[i]!, g = rgba[i + 1]!, b = rgba[i + 2]!;
      const red = rr[r]! + gr![g]! + br![b]!;
      const green = rg![r]! + gg![g]! + bg![b]!;
      const blue = rb![r]! + gb![g]! + bb![b]!;
      rgba[i] = table[red < 0 ? 0 : red > LINEAR ? LINEAR : red | 0]!;
      rgba[i + 1] = table[green < 0 ? 0 : green > LINEAR ? LINEAR : green | 0]!;
      rgba[i + 2] = table[blue < 0 ? 0 : blue > LINEAR ? LINEAR : blue | 0]!;
    }
  };
}

/** Whether no colour changes by more than a level: sRGB itself, whatever its name. */
function keepsColours(convert: (rgba: Uint8Array) => void): boolean {
  const greys = Array.from({ length: 256 }, (_, v) => [v, v, v, 255]).flat();
  const levels = [0, 32, 64, 96, 128, 160, 192, 224, 255];
  const colours = levels.flatMap((r) =>
    levels.flatMap((g) => levels.flatMap((b) => [r, g, b, 255]))
  );
  const before = Uint8Array.from([...greys, ...colours]);
  const after = before.slice();
  convert(after);
  return before.every((value, i) => Math.abs(value - after[i]!) <= 1);
}

/** Converts linear light from 0 to 1 to a byte of sRGB (IEC 61966-2-1). */
function encode(linear: number): number {
  const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  return Math.round(255 * value);
}

/** Converts CIE L* from 0 to 1 to luminance. */
function luminanceOf(lightness: number): number {
  const f = (100 * lightness + 16) / 116;
  return f > 6 / 29 ? f ** 3 : 3 * (6 / 29) ** 2 * (f - 4 / 29);
}

function readTags(bytes: Uint8Array): Map<string, Uint8Array> {
  const tags = new Map<string, Uint8Array>();
  if (bytes.length < 132) return tags;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = Math.min(view.getUint32(128), MAX_TAGS, Math.floor((bytes.length - 132) / 12));
  for (let i = 0; i < count; i++) {
    const entry = 132 + 12 * i;
    const [offset, size] = [view.getUint32(entry + 4), view.getUint32(entry + 8)];
    if (offset + size <= bytes.length) {
      tags.set(ascii(bytes, entry, 4), bytes.subarray(offset, offset + size));
    }
  }
  return tags;
}

/** Reads an XYZ tag; undefined if it is none. */
function readXyz(data: Uint8Array | undefined): number[] | undefined {
  if (!data || data.length < 20 || ascii(data, 0, 4) !== "XYZ ") return;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return [8, 12, 16].map((at) => view.getInt32(at) / 65536);
}

/** The profile's description: ASCII in version 2, the first translation in version 4. */
function nameOf(tags: Map<string, Uint8Array>): string {
  const data = tags.get("desc");
  if (!data || data.length < 12) return "";
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let text = "";
  if (ascii(data, 0, 4) === "desc") text = ascii(data, 12, Math.min(view.getUint32(8), 1000));
  else if (ascii(data, 0, 4) === "mluc" && data.length >= 28) {
    const [size, offset] = [Math.min(view.getUint32(20), 1000), view.getUint32(24)];
    text = new TextDecoder("utf-16be").decode(data.subarray(offset, offset + size));
  }
  return text.replace(/\0.*/s, "").trim();
}

function ascii(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function inverse(m: readonly (readonly number[])[]): number[][] {
  const minor = (row: number, column: number) => {
    const [a, b] = [(row + 1) % 3, (row + 2) % 3];
    const [c, d] = [(column + 1) % 3, (column + 2) % 3];
    return m[a]![c]! * m[b]![d]! - m[a]![d]! * m[b]![c]!;
  };
  const determinant = [0, 1, 2].reduce((sum, c) => sum + m[0]![c]! * minor(0, c), 0);
  return [0, 1, 2].map((row) => [0, 1, 2].map((column) => minor(column, row) / determinant));
}
