import { crc32, deflateSync } from "node:zlib";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { readImage } from "../../model/image/read.ts";
import { edge, joined, mutateBytes, mutateText, text, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader, textFault } from "../reader.ts";
import { exif, icc, int } from "./metadata.ts";

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** A file: its chunks, whose checksums are right, and what is wrong with their bytes in spite of that. */
interface Png {
  readonly chunks: readonly Chunk[];
  /** Bytes after the last chunk, or missing there. */
  readonly tail: number;
}

const SIGNATURE = "\x89PNG\r\n\x1a\n";
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** Encodes a file. */
function fileOf({ chunks, tail }: Png): Uint8Array {
  const parts = chunks.map(({ type, data }) => {
    const body = joined(latin1(type), data);
    return joined(int(data.length, 4), body, int(crc32(body), 4));
  });
  const file = joined(latin1(SIGNATURE), ...parts, new Uint8Array(Math.max(0, tail)));
  return tail < 0 ? file.subarray(0, tail) : file;
}

/** The bytes of filtered rows that a header asks for. */
function rowBytes(width: number, height: number, bits: number, interlaced: boolean): number {
  const pass = (x: number, y: number, dx: number, dy: number) => {
    const [w, h] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    return w > 0 && h > 0 ? h * (1 + Math.ceil(w * bits / 8)) : 0;
  };
  if (!interlaced) return pass(0, 0, 1, 1);
  return [
    ...[[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2]],
    [0, 1, 1, 2],
  ].reduce((sum, [x, y, dx, dy]) => sum + pass(x!, y!, dx!, dy!), 0);
}

function header(width: number, height: number, ...rest: number[]): Chunk {
  return { type: "IHDR", data: joined(int(width, 4), int(height, 4), rest) };
}

/** A file that is right, or wrong where only a decoder that looks notices. */
function makePng(random: Random): Png {
  const [width, height] = [1 + random.below(40, true), 1 + random.below(40, true)];
  const colour = random.chance(0.97) ? random.pick([0, 2, 3, 4, 6]) : random.below(8);
  const depth = random.chance(0.97) ? random.pick(DEPTHS[colour] ?? [8]) : random.below(33);
  const interlace = random.chance(0.3) ? 1 : random.chance(0.03) ? random.below(256) : 0;
  const bits = (CHANNELS[colour] ?? 1) * depth;
  const right = rowBytes(width, height, bits, interlace === 1);
  const count = random.pick([
    right,
    right,
    right,
    right - 1,
    right + 1,
    random.below(right + 9),
    0,
  ]);
  const zeros = random.chance(0.5);
  const rows = new Uint8Array(random.chance(0.005) ? 2 ** 24 : Math.max(0, count));
  if (!zeros) { for (let i = 0; i < Math.min(count, 5000); i++) rows[i] = random.below(256); }
  const rowLength = 1 + Math.ceil(width * bits / 8);
  if (interlace === 0 && random.chance(0.95)) {
    for (let at = 0; at < count; at += rowLength) rows[at] = random.below(5);
  } else if (random.chance(0.8)) rows.forEach((byte, i) => i < 5000 && (rows[i] = byte % 5));
  let packed = new Uint8Array(deflateSync(rows, { level: random.pick([0, 6]) }));
  if (random.chance(0.1)) packed = mutateBytes(random, packed);
  const cut = random.below(packed.length + 1);
  const liar = random.chance(0.05);
  const chunks: Chunk[] = [
    header(
      liar ? edge(random) : width,
      liar && random.chance(0.5) ? edge(random) : height,
      ...[depth, colour],
      ...random.chance(0.97) ? [0, 0] : [random.below(3), random.below(3)],
      interlace,
    ),
    ...random.chance(0.2) ? [extra(random)] : [],
    ...colour === 3 && random.chance(0.97) ? [palette(random, depth)] : [],
    ...random.chance(0.2) ? [{ type: "tRNS", data: random.bytes(random.below(9)) }] : [],
    { type: "IDAT", data: packed.subarray(0, cut) },
    ...random.chance(0.05) ? [extra(random)] : [],
    { type: "IDAT", data: packed.subarray(cut) },
    ...random.chance(0.1) ? [extra(random)] : [],
    { type: "IEND", data: random.bytes(random.chance(0.97) ? 0 : 3) },
  ];
  const tail = random.chance(0.95) ? 0 : random.below(20) - 10;
  return { chunks: random.chance(0.85) ? chunks : shuffled(random, chunks), tail };
}

function palette(random: Random, depth: number): Chunk {
  const size = random.chance(0.8) ? 2 ** Math.min(depth, 8) : random.below(300);
  return { type: "PLTE", data: random.bytes(3 * size + (random.chance(0.9) ? 0 : 1)) };
}

/** A chunk that is not of pixels. */
export function extra(random: Random): Chunk {
  const named = (name: string, data: Uint8Array) =>
    joined(latin1(name), [0, 0], random.chance(0.8) ? deflateSync(data) : data);
  return random.pick<() => Chunk>([
    () => ({ type: "eXIf", data: exif(random) }),
    () => ({ type: "iCCP", data: named("p", icc(random)) }),
    () => ({ type: "iCCP", data: named("p", new Uint8Array(random.pick([0, 9, 2 ** 22]))) }),
    () => ({ type: "acTL", data: joined(int(edge(random), 4), int(0, 4)) }),
    () => ({ type: "fcTL", data: random.bytes(26) }),
    () => ({ type: "fdAT", data: random.bytes(random.below(40)) }),
    () => ({ type: "gAMA", data: int(edge(random), 4) as unknown as Uint8Array }),
    () => ({ type: "sRGB", data: random.bytes(1) }),
    () => ({ type: "cHRM", data: random.bytes(32) }),
    () => ({
      type: random.pick(["ABCD", "abcd", "IHDR", "\x1b[2J", "\0\0\0\0"]),
      data: new Uint8Array(),
    }),
    () => textChunk(random),
  ])();
}

/** Text in one of its three chunks. */
export function textChunk(random: Random): Chunk {
  const bytes = (of: string) => random.chance(0.8) ? new TextEncoder().encode(of) : random.bytes(9);
  const keyword = random.pick(["parameters", "Comment", "parameters", ...TEXTS]).replace("\0", "");
  const value = bytes(mutateText(random, "a red dot\nSteps: 7, Seed: 1", TEXTS));
  const body = random.pick<() => [string, ...ArrayLike<number>[]]>([
    () => ["tEXt", latin1("\0"), value],
    () => ["zTXt", [0, random.below(3) >> 1], deflateSync(value)],
    () => ["zTXt", [0, 0], random.chance(0.1) ? deflateSync(new Uint8Array(2 ** 25)) : value],
    () => ["iTXt", [0, 0, 0], bytes("en"), [0], bytes("é"), [0], value],
    () => ["iTXt", [0, 1, 0, 0, 0], deflateSync(value)],
    () => ["iTXt", [0, 1], value],
    () => ["tEXt", value],
  ])();
  const [type, ...parts] = body;
  const data = joined(bytes(keyword), ...parts);
  return { type, data: random.chance(0.9) ? data : mutateBytes(random, data) };
}

function shuffled(random: Random, chunks: readonly Chunk[]): Chunk[] {
  const out = [...chunks];
  const at = random.below(out.length);
  random.pick([
    () => out.splice(at, 1),
    () => out.splice(at, 0, out[at]!),
    () => out.splice(random.below(out.length), 0, out.splice(at, 1)[0]!),
    () => out.splice(at, 1, { ...out[at]!, data: mutateBytes(random, out[at]!.data) }),
    () => out.splice(at, 1, { ...out[at]!, type: text(random).slice(0, 4).padEnd(4, "x") }),
  ])();
  return out;
}

/** Opens an image, decodes and fits it, and checks that it survives being written. */
export async function checkImage(file: Uint8Array, name: string): Promise<void> {
  const open = await openImage(file, name);
  for (const line of open.warnings) claim(textFault(line) === null, `a warning, not ${line}`);
  const { width, height } = open;
  claim(Number.isInteger(width) && width > 0 && Number.isInteger(height) && height > 0, "a size");
  const { rgba, ...size } = await open.image();
  claim(size.width === width && size.height === height, "the size that was promised");
  claim(rgba.length === 4 * width * height, "a byte per channel");
  claim(!open.opaque || rgba.every((byte, i) => i % 4 !== 3 || byte === 255), "opaque");
  if (width * height > 10_000) return;
  const fits = [await open.fit(5, 3), await open.fitMask(5, 3), await open.fitAlpha(5, 3)];
  for (const [i, fit] of fits.entries()) {
    claim(fit.length === (i ? 15 : 45), "numbers of the size asked for");
    claim(fit.every((value) => value >= (i ? 0 : -1) && value <= 1), "numbers in their range");
  }
  const again = await readImage(encodePng(rgba, width, height), "again.png");
  claim(again.width === width && again.height === height, "the size survives");
  claim(rgba.every((byte, i) => byte === again.rgba[i]), "pixels survive");
}

export const png = reader({
  make: makePng,
  file: fileOf,
  read: (input) => checkImage(fileOf(input), "x.png"),
});

export const pngBytes = reader({
  make: (random) => mutateBytes(random, fileOf(makePng(random))),
  read: (bytes) => checkImage(bytes, "x.png"),
});

export const pngText = reader({
  make(random): Png {
    const { chunks, tail } = makePng(random);
    return {
      chunks: [chunks[0]!, ...random.list(1, 4, () => textChunk(random)), ...chunks.slice(1)],
      tail,
    };
  },
  file: fileOf,
  read(input) {
    const found = readPngText(fileOf(input));
    claim(Object.getPrototypeOf(found) === null, "no prototype");
    const entries = Object.entries(found);
    claim(entries.every(([, value]) => typeof value === "string"), "texts");
    const kept = entries.filter(([key, value]) =>
      /^[!-~](?:[ -~]{0,77}[!-~])?$/.test(key) && !value.includes("\0") && value.isWellFormed()
    );
    const again = readPngText(encodePng(new Uint8Array(4), 1, 1, Object.fromEntries(kept)));
    for (const [key, value] of kept) claim(again[key] === value, `${key} survives`);
  },
});
