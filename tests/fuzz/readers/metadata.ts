// Metadata of images: EXIF blocks, ICC profiles and text, right or slightly wrong.
import { recognise } from "../../../engine/mod.ts";
import { orientationOf } from "../../../model/image/base/exif.ts";
import { readProfile } from "../../../model/image/icc.ts";
import { curv, described, para, profile, xyz } from "../../model/image/icc_files.ts";
import { joined, mutateBytes, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader, textFault } from "../reader.ts";

const ascii = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** A number of bytes, big-endian unless `little`. */
export function int(value: number, size: number, little = false): number[] {
  const bytes = Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
  return little ? bytes : bytes.reverse();
}

/** A TIFF block with an orientation, as EXIF has it. */
export function exif(random: Random): Uint8Array<ArrayBuffer> {
  const little = random.chance(0.5);
  const entry = (tag: number, type: number, count: number, value: number) => [
    ...[int(tag, 2, little), int(type, 2, little), int(count, 4, little)].flat(),
    ...type === 3 ? [int(value, 2, little), [0, 0]].flat() : int(value, 4, little),
  ];
  const entries = random.list(
    1,
    8,
    () =>
      random.chance(0.6)
        ? entry(0x112, random.chance(0.9) ? 3 : random.below(14), 1, random.below(10))
        : entry(random.pick([0x100, 0x8769, 0x8825, 0xffff]), random.below(14), random.below(9), 8),
  );
  const block = joined(
    ascii(little ? "II" : "MM"),
    int(42, 2, little),
    int(8, 4, little),
    int(entries.length, 2, little),
    entries.flat(),
    int(random.chance(0.8) ? 0 : 8, 4, little),
  );
  return random.chance(0.5) ? block : mutateBytes(random, block);
}

/** An ICC profile of primaries and curves, as Display P3 has it. */
export function icc(random: Random): Uint8Array<ArrayBuffer> {
  const number = () =>
    random.chance(0.9) ? random.below(1000) / 1000 : random.below(60_000) - 30_000;
  const curve = () =>
    random.pick([
      () => para(...Array.from({ length: random.pick([1, 3, 4, 5, 7]) }, number)),
      () => para(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
      () => curv(...random.list(0, 40, () => random.below(65536))),
      () => curv(563),
    ])();
  const shared = curve();
  const tags = random.pick([
    ...Array<string[]>(6).fill(["rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC", "desc"]),
    ["kTRC", "desc"],
    ["A2B0"],
    [],
  ]).map((name) => [
    name,
    name.endsWith("TRC")
      ? (random.chance(0.7) ? shared : curve())
      : name === "desc"
      ? described(text(random))
      : xyz(number(), number(), number()),
  ]);
  const space = random.chance(0.9) ? "RGB " : random.pick(["GRAY", "CMYK", "Lab ", "\0\0\0\0"]);
  const made = profile(Object.fromEntries(tags), space, random.chance(0.95) ? "XYZ " : "Lab ");
  return random.chance(0.6) ? made : mutateBytes(random, made);
}

const HEADS = [
  ...[
    "version https://git-lfs.github.com/spec/v1\n",
    "<!DOCTYPE html>",
    "<!-- x -->",
    "<html",
    "<?xml",
  ],
  ...[
    '{"error":',
    "GGUF",
    "\x93NUMPY",
    "PK\x03\x04",
    "\x80\x02",
    "\x89PNG\r\n\x1a\n",
    "\xff\xd8\xff",
  ],
  ...[
    "RIFF....WEBP",
    "GIF89a",
    "BM",
    "II*\0",
    "....ftypavif",
    "%PDF-",
    "\x1f\x8b",
    "ustar",
    "\0\0\0\0",
  ],
  ...["P6 ", "\x7fELF", "x/data.pkl", ".npy", " ", "\n", "-->", "<!--", "\xef\xbb\xbf"],
].map((head) => Uint8Array.from(head, (char) => char.charCodeAt(0)));

/** What a file is, by its first bytes. */
export const kinds = reader({
  make: (random) => {
    const parts = random.list(
      1,
      20,
      () => random.chance(0.8) ? random.pick(HEADS) : random.bytes(9),
    );
    const head = joined(...parts, random.bytes(random.below(30)));
    return random.chance(0.5) ? head : mutateBytes(random, head, HEADS);
  },
  read(bytes) {
    const found = recognise(bytes);
    claim(
      found === null || textFault(found) === null && found.length < 200,
      `a phrase, not ${found}`,
    );
  },
});

export const exifs = reader({
  make: exif,
  read(bytes) {
    const orientation = orientationOf(bytes);
    claim([1, 2, 3, 4, 5, 6, 7, 8].includes(orientation), `an orientation, not ${orientation}`);
  },
});

export const profiles = reader({
  make: icc,
  read(bytes) {
    const found = readProfile(bytes);
    if (found.kind !== "convert") {
      return claim(found.kind === "srgb" || typeof found.name === "string", "a kind");
    }
    const rgba = Uint8Array.from({ length: 1024 }, (_, i) => i % 4 === 3 ? i >> 2 : i * 7);
    found.convert(rgba);
    claim(rgba.every((byte, i) => i % 4 !== 3 || byte === i >> 2), "alpha stays");
  },
});
