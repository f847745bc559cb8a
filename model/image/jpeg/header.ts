/** Reads everything of a JPEG but its pixels: tables, scans, colours, EXIF and ICC. */

import { CorruptJpeg, type HuffmanTable, huffmanTable } from "./bits.ts";
import {
  blocksOf,
  type JpegColours,
  type JpegComponent,
  type JpegHeader,
  type Scan,
  ZIGZAG,
} from "./types.ts";
import { checkSize, headless, truncated, unreadable } from "../base/errors.ts";
import type { ImageLimits } from "../base/rows.ts";

interface Tables {
  readonly quant: (Int32Array | undefined)[];
  readonly dc: (HuffmanTable | undefined)[];
  readonly ac: (HuffmanTable | undefined)[];
  restartInterval: number;
}

type Frame = Pick<JpegHeader, "width" | "height" | "progressive" | "components" | "mcu">;

// SOF0 to SOF2 are baseline, extended and progressive Huffman coding.
const [SOF0, SOF2, DHT, JPG, DAC, SOF15] = [0xc0, 0xc2, 0xc4, 0xc8, 0xcc, 0xcf];
const [RST0, SOI, EOI, SOS, DQT, DRI] = [0xd0, 0xd8, 0xd9, 0xda, 0xdb, 0xdd];
const [APP0, APP1, APP2, APP14] = [0xe0, 0xe1, 0xe2, 0xee];
// More is a file made to keep its reader busy: usual ones have about 10.
const MAX_SCANS = 100;
const MAX_MCU_BLOCKS = 10;

/**
 * Reads a JPEG up to its end marker.
 *
 * @param bytes A file that begins with a JPEG's marker.
 * @throws {FileError} It is incomplete, too large or of another coding.
 * @throws {CorruptJpeg} Its tables or scans contradict each other.
 */
export function readJpegHeader(bytes: Uint8Array, name: string, limits: ImageLimits): JpegHeader {
  const tables: Tables = { quant: [], dc: [], ac: [], restartInterval: 0 };
  const scans: Scan[] = [];
  const profile: Uint8Array[] = [];
  let frame: Frame | undefined, exif: Uint8Array | undefined;
  let jfif = false, adobe = -1;
  for (let at = 2;;) {
    at = nextMarker(bytes, at, name);
    const marker = bytes[at - 1]!;
    if (marker < SOF0 || marker >= RST0 && marker <= SOI) continue;
    const [last] = scans.slice(-1);
    if (last && last.end === 0) scans[scans.length - 1] = { ...last, end: at - 2 };
    if (marker === EOI || marker === SOS) {
      if (!frame || marker === EOI && !last) throw headless(name, "JPEG");
      if (marker === EOI) break;
    }
    if (at + 2 > bytes.length) throw truncated(name);
    const end = at + (bytes[at]! << 8 | bytes[at + 1]!);
    if (end > bytes.length) throw truncated(name);
    const data = bytes.subarray(at + 2, end);
    if (marker === DQT) readQuant(data, tables);
    else if (marker === DHT) readHuffman(data, tables);
    else if (marker === DRI && data.length >= 2) tables.restartInterval = data[0]! << 8 | data[1]!;
    else if (marker === SOS) scans.push(readScan(data, end, frame!, tables, scans.length));
    else if (marker === APP0) jfif ||= tag(data, 5) === "JFIF\0";
    else if (marker === APP1 && tag(data, 6) === "Exif\0\0") exif ??= data.subarray(6);
    else if (marker === APP2 && tag(data, 12) === "ICC_PROFILE\0") profile.push(data);
    else if (marker === APP14 && tag(data, 5) === "Adobe" && data.length >= 12) adobe = data[11]!;
    else if (marker >= SOF0 && marker <= SOF15 && ![JPG, DAC].includes(marker)) {
      if (frame) throw new CorruptJpeg("it has two headers");
      frame = readFrame(data, marker, name, bytes.length, limits);
    }
    at = end;
  }
  for (const { low } of frame!.components) {
    if (low[0]! < 0) throw new CorruptJpeg("a component has no data");
  }
  const colours = coloursOf(frame!.components, jfif, adobe);
  return { ...frame!, colours, scans, exif, icc: joinProfile(profile) };
}

/** Returns the offset after the next marker: 0xff, possibly repeated, then neither 0 nor 0xff. */
function nextMarker(bytes: Uint8Array, from: number, name: string): number {
  for (let at = from;;) {
    at = bytes.indexOf(0xff, at) + 1;
    if (at === 0) throw truncated(name);
    if (at === bytes.length) throw truncated(name);
    if (bytes[at] !== 0 && bytes[at] !== 0xff) return at + 1;
  }
}

function readFrame(
  data: Uint8Array,
  marker: number,
  name: string,
  fileSize: number,
  limits: ImageLimits,
): Frame {
  if (marker > SOF2) {
    throw unreadable(
      name,
      "unsupported-image",
      "it is a lossless, hierarchical or arithmetic-coded JPEG; save it as an ordinary one",
    );
  }
  const count = data[5] ?? 0;
  if (data.length !== 6 + 3 * count) throw new CorruptJpeg("its header has a wrong length");
  if (data[0] !== 8) {
    const why = `it has ${data[0]} bits per channel; convert it to 8 bits per channel`;
    throw unreadable(name, "deep-image", why);
  }
  const [height, width] = [data[1]! << 8 | data[2]!, data[3]! << 8 | data[4]!];
  checkSize(name, width, height, limits);
  if (![1, 3, 4].includes(count)) {
    const why = `it is a JPEG of ${count} channels; convert it to grey or RGB`;
    throw unreadable(name, "unsupported-image", why);
  }
  const raw = Array.from({ length: count }, (_, i) => {
    const [id = 0, factors = 0, quant = 0] = data.subarray(6 + 3 * i);
    // the only component of a file has no other to differ from
    return { id, h: count > 1 ? factors >> 4 : 1, v: count > 1 ? factors & 15 : 1, quant };
  });
  const [h, v] = [Math.max(...raw.map(({ h }) => h)), Math.max(...raw.map(({ v }) => v))];
  const mcu = { h, v, across: Math.ceil(width / (8 * h)), down: Math.ceil(height / (8 * v)) };
  const components = raw.map((each): JpegComponent & { readonly table: number } => {
    if (!each.h || !each.v || h > 4 || v > 4 || h % each.h || v % each.v) {
      throw new CorruptJpeg("its channels have sizes that do not match");
    }
    return {
      id: each.id,
      h: each.h,
      v: each.v,
      width: Math.ceil(width * each.h / h),
      height: Math.ceil(height * each.v / v),
      across: mcu.across * each.h,
      down: mcu.down * each.v,
      low: new Int8Array(64).fill(-1),
      table: each.quant,
    };
  });
  const blocks = components.reduce((sum, c) => sum + blocksOf(c).across * blocksOf(c).down, 0);
  const progressive = marker === SOF2;
  // each block takes a bit, two if it also needs an end
  if (blocks * (progressive ? 1 : 2) > 8 * fileSize) throw truncated(name);
  return { width, height, progressive, components, mcu };
}

function readQuant(data: Uint8Array, { quant }: Tables): void {
  for (let at = 0; at < data.length;) {
    const [wide, index] = [data[at]! >> 4, data[at]! & 15];
    const size = wide ? 2 : 1;
    if (wide > 1 || index > 3 || at + 1 + 64 * size > data.length) {
      throw new CorruptJpeg("a quantisation table has a wrong length");
    }
    const table = quant[index] = new Int32Array(64);
    for (let k = 0; k < 64; k++) {
      const place = at + 1 + k * size;
      table[ZIGZAG[k]!] = wide ? data[place]! << 8 | data[place + 1]! : data[place]!;
    }
    at += 1 + 64 * size;
  }
}

function readHuffman(data: Uint8Array, { dc, ac }: Tables): void {
  for (let at = 0; at < data.length;) {
    const [kind, index] = [data[at]! >> 4, data[at]! & 15];
    const counts = data.subarray(at + 1, at + 17);
    const from = at + 17;
    at = from + counts.reduce((sum, count) => sum + count, 0);
    if (kind > 1 || index > 3 || at > data.length || at - from > 256 || counts.length < 16) {
      throw new CorruptJpeg("a Huffman table has a wrong length");
    }
    (kind ? ac : dc)[index] = huffmanTable(counts, data.subarray(from, at));
  }
}

function readScan(
  data: Uint8Array,
  start: number,
  { components, progressive }: Frame,
  tables: Tables,
  before: number,
): Scan {
  const count = data[0] ?? 0;
  if (count < 1 || count > 4 || data.length !== 4 + 2 * count || before >= MAX_SCANS) {
    throw new CorruptJpeg("it has a scan too many, or of a wrong length");
  }
  const [first = 0, last = 0, bits = 0] = data.subarray(1 + 2 * count);
  const { from, to, high, low } = progressive
    ? { from: first, to: last, high: bits >> 4, low: bits & 15 }
    : { from: 0, to: 63, high: 0, low: 0 };
  const parts = Array.from({ length: count }, (_, i) => {
    const [id, table = 0] = data.subarray(1 + 2 * i);
    const component = components.find((component) => component.id === id);
    if (!component) throw new CorruptJpeg("a scan has an unknown component");
    const part = { component, dc: tables.dc[table >> 4], ac: tables.ac[table & 15] };
    const needsDc = from === 0 && high === 0;
    if (needsDc && !part.dc || to > 0 && !part.ac) {
      throw new CorruptJpeg("a Huffman table is missing");
    }
    const { table: quant } = component as JpegComponent & { readonly table: number };
    component.quant ??= tables.quant[quant];
    if (!component.quant) throw new CorruptJpeg("a quantisation table is missing");
    return part;
  });
  const valid = new Set(parts.map(({ component }) => component)).size === count &&
    (count === 1 || parts.reduce((n, { component: { h, v } }) => n + h * v, 0) <= MAX_MCU_BLOCKS) &&
    (!progressive || (from === 0 ? to === 0 : count === 1)) &&
    from <= to && to < 64 && low <= 13 && (high === 0 || low === high - 1);
  if (!valid) throw new CorruptJpeg("a scan has wrong parameters");
  for (const { component } of parts) {
    for (let k = from; k <= to; k++) {
      // scans of a coefficient go on where the last one ended, and begin after the first coefficient
      const due = component.low[k]! < 0 ? 0 : component.low[k]!;
      const again = component.low[k]! >= 0 && high === 0;
      if (due !== high || again || from > 0 && component.low[0]! < 0) {
        throw new CorruptJpeg("its scans are in a wrong order");
      }
    }
    component.low.fill(low, from, to + 1);
  }
  const { restartInterval } = tables;
  return { components: parts, from, to, high, low, restartInterval, start, end: 0 };
}

/** What the components mean, as libjpeg guesses it. */
function coloursOf(
  components: readonly JpegComponent[],
  jfif: boolean,
  adobe: number,
): JpegColours {
  if (components.length === 1) return "grey";
  if (components.length === 4) return adobe === 2 ? "ycck" : "cmyk";
  if (jfif) return "ycc";
  if (adobe >= 0) return adobe === 0 ? "rgb" : "ycc";
  return String.fromCharCode(...components.map(({ id }) => id)) === "RGB" ? "rgb" : "ycc";
}

/** Joins the segments of a profile, which may be in any order; an empty one if some are missing. */
function joinProfile(segments: readonly Uint8Array[]): Uint8Array | undefined {
  if (segments.length === 0) return;
  const sorted = segments.toSorted((a, b) => a[12]! - b[12]!);
  const whole = sorted.every((data, i) => data[12] === i + 1 && data[13] === sorted.length);
  if (!whole) return new Uint8Array();
  const joined = new Uint8Array(sorted.reduce((sum, data) => sum + data.length - 14, 0));
  let at = 0;
  for (const data of sorted) {
    joined.set(data.subarray(14), at);
    at += data.length - 14;
  }
  return joined;
}

function tag(bytes: Uint8Array, length: number): string {
  return String.fromCharCode(...bytes.subarray(0, length));
}
