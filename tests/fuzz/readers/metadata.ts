// Metadata that images carry: EXIF blocks, ICC profiles and text, right or slightly wrong.
import { joined, mutateBytes } from "../mutate.ts";
import type { Random } from "../random.ts";

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
  const fixed = (value: number) => int(Math.round(value * 65536) >>> 0, 4);
  const xyz = () => joined(ascii("XYZ "), [0, 0, 0, 0], ...[0, 1, 2].map(() => fixed(number())));
  const number = () => random.chance(0.9) ? random.below(1000) / 1000 : random.below(60000) - 30000;
  const curve = () =>
    random.pick([
      () => joined(ascii("curv"), int(0, 4), int(1, 4), int(random.below(2000), 2)),
      () => joined(ascii("curv"), int(0, 4), int(0, 4)),
      () => joined(ascii("curv"), int(0, 4), int(9, 4), random.bytes(18)),
      () =>
        joined(
          ascii("para"),
          int(0, 4),
          int(random.below(6), 2),
          [0, 0],
          ...Array.from({ length: 7 }, () => fixed(number())),
        ),
    ])();
  const names = random.chance(0.8)
    ? ["rXYZ", "gXYZ", "bXYZ", "wtpt", "rTRC", "gTRC", "bTRC", "desc"]
    : random.pick([["kTRC", "wtpt"], ["A2B0"], [], ["rXYZ", "rXYZ", "rTRC"]]);
  const shared = curve();
  const tags = names.map((name) =>
    name.endsWith("TRC")
      ? (random.chance(0.7) ? shared : curve())
      : name === "desc"
      ? joined(ascii("desc"), int(0, 4), int(5, 4), ascii("name\0"))
      : xyz()
  );
  let at = 128 + 4 + 12 * tags.length;
  const table = names.flatMap((name, i) => {
    const size = tags[i]!.length;
    at += size;
    return [...ascii(name), ...int(at - size, 4), ...int(size, 4)];
  });
  const pick = (right: string) =>
    ascii(random.chance(0.95) ? right : random.pick(["CMYK", "GRAY", "Lab ", "scnr", "\0\0\0\0"]));
  const head = joined(
    int(at, 4),
    ascii("bits"),
    int(0x04300000, 4),
    pick("mntr"),
    pick("RGB "),
    pick("XYZ "),
    new Uint8Array(12),
    ascii("acsp"),
    new Uint8Array(88),
  );
  const profile = joined(head, int(tags.length, 4), table, ...tags);
  return random.chance(0.5) ? profile : mutateBytes(random, profile);
}
