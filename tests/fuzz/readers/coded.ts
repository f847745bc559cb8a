// JPEG and WebP files, by their segments and chunks.
import {
  JPEG,
  JPEG_CMYK,
  JPEG_GREY,
  JPEG_PROGRESSIVE,
  WEBP,
  WEBP_ALPHA,
  WEBP_LOSSLESS,
} from "../../model/image/image_files.ts";
import { edge, joined, mutateBytes } from "../mutate.ts";
import type { Random } from "../random.ts";
import { reader } from "../reader.ts";
import { exif, icc, int } from "./metadata.ts";
import { checkImage } from "./png.ts";

/** The most that a decoder takes that is not the image: its WebAssembly is compiled for each file. */
const DECODER = { deadline: 1500, memory: 2 ** 28 };

/** A file in parts: segments of a JPEG, chunks of a WebP. */
type Parts = readonly Uint8Array[];

/** Splits a JPEG before each marker. */
export function segments(file: Uint8Array): Parts {
  const cuts = [...file.keys()].filter((at) =>
    file[at] === 0xff && file[at + 1]! >= 0xc0 && (file[at + 1]! < 0xd0 || file[at + 1]! > 0xd7)
  );
  return cuts.map((at, i) => file.subarray(at, cuts[i + 1]));
}

const ascii = (text: string) => new TextEncoder().encode(text);
const segment = (marker: number, ...data: ArrayLike<number>[]) => {
  const body = joined(...data);
  return joined([0xff, marker], int(body.length + 2, 2), body);
};

const JPEGS = [JPEG, JPEG_PROGRESSIVE, JPEG_GREY, JPEG_CMYK].map(segments);

function makeJpeg(random: Random): Parts {
  const parts = [...random.pick(JPEGS)];
  for (let times = random.below(4); times > 0; times--) {
    const at = 1 + random.below(parts.length - 1);
    random.pick<() => unknown>([
      () => parts.splice(1, 0, segment(0xe1, ascii("Exif\0\0"), exif(random))),
      () => parts.splice(1, 0, segment(0xe2, ascii("ICC_PROFILE\0"), [1, 1], icc(random))),
      () => parts.splice(1, 0, ...split(random, icc(random))),
      () => parts.splice(1, 0, segment(random.below(256), random.bytes(random.below(30)))),
      () => parts.splice(at, 1),
      () => parts.splice(at, 0, parts[at]!),
      () => parts.splice(random.below(parts.length), 0, ...parts.splice(at, 1)),
      () => parts.splice(at, 1, mutateBytes(random, parts[at]!)),
      () => parts.splice(at, 1, mutateBytes(random, parts[at]!)),
      () => resize(random, parts),
    ])();
  }
  return parts;
}

/** A profile in several segments, of which some may be missing, twice or in the wrong order. */
function split(random: Random, profile: Uint8Array): Parts {
  const total = 1 + random.below(4);
  const step = Math.ceil(profile.length / total);
  const all = Array.from({ length: total }, (_, i) =>
    segment(
      0xe2,
      ascii("ICC_PROFILE\0"),
      [
        random.chance(0.9) ? i + 1 : random.below(256),
        random.chance(0.9) ? total : random.below(256),
      ],
      profile.subarray(i * step, (i + 1) * step),
    ));
  return random.chance(0.8) ? all : random.list(0, 4, () => random.pick(all));
}

/** Lies about the size. */
function resize(random: Random, parts: Uint8Array[]): void {
  const at = parts.findIndex((part) => part[1]! >= 0xc0 && part[1]! <= 0xc2);
  if (at < 0 || parts[at]!.length < 9) return;
  const frame = Uint8Array.from(parts[at]!);
  const side = () => random.chance(0.5) ? edge(random) : 1 + random.below(100);
  frame.set([...int(side(), 2), ...int(side(), 2)], 5);
  parts[at] = frame;
}

export const jpeg = reader({
  ...DECODER,
  make: makeJpeg,
  file: (parts) => joined(...parts),
  read: (parts) => checkImage(joined(...parts), "x.jpg"),
});

const little = (value: number, size: number) => int(value, size, true);

/** Splits a WebP after its header. */
function chunks(file: Uint8Array): Parts {
  const out: Uint8Array[] = [];
  const view = new DataView(file.buffer, file.byteOffset);
  for (let at = 12; at + 8 <= file.length;) {
    const size = view.getUint32(at + 4, true);
    out.push(file.subarray(at, at + 8 + size + size % 2));
    at += 8 + size + size % 2;
  }
  return out;
}

const WEBPS = [WEBP, WEBP_ALPHA, WEBP_LOSSLESS].map(chunks);
const riff = (type: string, data: Uint8Array, size = data.length) =>
  joined(ascii(type), little(size, 4), data, data.length % 2 ? [0] : []);

/** A WebP: its chunks, and how much the size of the file is off. */
interface Webp {
  readonly parts: Parts;
  readonly off: number;
}

function makeWebp(random: Random): Webp {
  const parts = [...random.pick(WEBPS)];
  for (let times = random.below(4); times > 0; times--) {
    const at = random.below(parts.length);
    const side = () => random.chance(0.7) ? [18, 0, 0] : little(edge(random), 3);
    random.pick<() => unknown>([
      () => parts.push(riff("EXIF", joined(ascii(random.pick(["", "Exif\0\0"])), exif(random)))),
      () => parts.splice(0, 0, riff("ICCP", icc(random))),
      () => parts.splice(0, 0, riff("VP8X", joined([random.below(256), 0, 0, 0], side(), side()))),
      () => parts.splice(at, 0, riff("ANIM", random.bytes(6)), riff("ANMF", random.bytes(40))),
      () => parts.splice(at, 0, riff("ABCD", random.bytes(5), edge(random))),
      () => parts.splice(at, 1),
      () => parts.splice(at, 0, parts[at] ?? new Uint8Array()),
      () => parts.splice(at, 1, mutateBytes(random, parts[at] ?? new Uint8Array())),
      () => parts.splice(at, 1, mutateBytes(random, parts[at] ?? new Uint8Array())),
    ])();
  }
  return { parts, off: random.chance(0.9) ? 0 : random.below(20) - 10 };
}

function webpFile({ parts, off }: Webp): Uint8Array<ArrayBuffer> {
  const body = joined(...parts);
  return joined(ascii("RIFF"), little(body.length + 4 + off, 4), ascii("WEBP"), body);
}

export const webp = reader({
  ...DECODER,
  make: makeWebp,
  file: webpFile,
  read: (input) => checkImage(webpFile(input), "x.webp"),
});
