import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";
import { FileError } from "../../../../engine/mod.ts";
import { encodePng } from "../../../../model/image/png.ts";
import { chunks } from "../../../../model/image/png/chunks.ts";
import { openPng } from "../../../../model/image/png/rows.ts";
import { decodePng } from "../../../decode_png.ts";
import { exif } from "../metadata.ts";
import { PNG_ANIMATED } from "../image_files.ts";
import { FORMS, makePng, type PngPlan } from "./png_files.ts";
import { inTime } from "../../../in_time.ts";

/** All rows of a PNG, in one array. */
async function pixels(file: Uint8Array, name = "a"): Promise<Uint8Array> {
  const source = openPng(file, name);
  const rgba = new Uint8Array(source.width * source.height * 4);
  let filled = 0;
  for await (const rows of source.rows()) {
    assertEquals(rows.length % (4 * source.width), 0);
    rgba.set(rows, filled);
    filled += rows.length;
  }
  assertEquals(filled, rgba.length);
  return rgba;
}

/** Random integers from 0 to below `limit`, the same at each run. */
function dice(seed: number): (limit: number) => number {
  return (limit) => {
    seed = Math.imul(seed, 1664525) + 1013904223 | 0;
    return Math.floor((seed >>> 0) / 2 ** 32 * limit);
  };
}

/** Refused when opened, or by the pixels: with one line that says what and where. */
async function refused(file: Uint8Array, code: string, why: string): Promise<void> {
  const error = await assertRejects(() => pixels(file, "a\nb.png"), FileError);
  assertEquals([error.code, error.message], [code, `Cannot read "a\\nb.png": ${why}`]);
}

const corrupt = (detail: string) => `the PNG is corrupt (${detail}); use another file`;
const early = (bytes: number) =>
  `its pixel data end ${bytes} bytes early; copy or download it again`;

Deno.test("openPng() reads every colour type, depth, filter and interlace", async () => {
  const roll = dice(3);
  let compared = 0;
  for (const { type, depths, channels } of FORMS) {
    for (const depth of depths) {
      for (let turn = 0; turn < 9; turn++) {
        const [width, height] = [1 + roll(turn < 4 ? 5 : 25), 1 + roll(turn < 4 ? 5 : 12)];
        const colors = type === 3 ? 1 + roll(2 ** depth) : 2 ** depth;
        const palette = Array.from({ length: 3 * colors }, () => roll(256));
        const alphas = Array.from({ length: roll(colors + 1) }, () => roll(256));
        const values = Array.from({ length: width * height * channels }, () => roll(colors));
        const sample = (x: number, y: number, c: number) => values[(y * width + x) * channels + c];
        const key = turn % 3 === 0 && type < 4
          ? type === 3
            ? alphas
            : Array.from({ length: channels }, (_, c) => sample(0, 0, c)).flatMap((v) => {
              return [v >> 8, v & 255];
            })
          : [];
        const file = makePng({
          width,
          height,
          type,
          depth,
          interlaced: turn % 2 === 1,
          sample,
          filter: () => roll(5),
          before: [
            ...(type === 3 ? [["PLTE", palette] as const] : []),
            ...(key.length ? [["tRNS", key] as const] : []),
          ],
          pieces: (data) => {
            const [at, end] = [roll(data.length), roll(data.length)].toSorted((a, b) => a - b);
            return [data.subarray(0, at), data.subarray(at, end), data.subarray(end)];
          },
        });
        const byte = (value: number) =>
          depth === 16 ? value >> 8 : Math.floor(value * 255 / (2 ** depth - 1));
        const first = Array.from({ length: channels }, (_, c) => sample(0, 0, c));
        const expected = Array.from({ length: width * height }, (_, i) => {
          const own = values.slice(i * channels, i * channels + channels);
          const [a, b, c, d] = own.map(byte);
          const clear = key.length > 0 && own.every((value, c) => value === first[c]);
          if (type === 0) return [a, a, a, clear ? 0 : 255];
          if (type === 2) return [a, b, c, clear ? 0 : 255];
          if (type === 4) return [a, a, a, b];
          if (type === 6) return [a, b, c, d];
          const [index] = own;
          const alpha = key.length > 0 ? alphas[index] ?? 255 : 255;
          return [...palette.slice(3 * index, 3 * index + 3), alpha];
        }).flat();
        const message = `type ${type}, ${depth} bits, ${width}x${height}, turn ${turn}`;
        assertEquals(await pixels(file), Uint8Array.from(expected), message);
        const { opaque } = openPng(file, "a");
        assertEquals(opaque, type < 4 && key.length === 0);
        // another reader agrees, which rounds 16 bits, and clears the colour that is transparent
        if (depth < 16 && (key.length === 0 || type === 3)) {
          assertEquals(decodePng(file).rgba, Uint8Array.from(expected), message);
          compared++;
        }
      }
    }
  }
  assert(compared > 60, `${compared}`);
});

Deno.test("openPng() reads rows as often as asked, also if a reader stops early", async () => {
  const rgba = Uint8Array.from({ length: 4 * 300 * 700 }, (_, i) => Math.imul(i, 40503) >>> 7);
  const source = openPng(encodePng(rgba, 300, 700), "a");
  for await (const rows of source.rows()) {
    assertLess(rows.length, rgba.length);
    break;
  }
  for (let turn = 0; turn < 2; turn++) {
    let at = 0;
    for await (const rows of source.rows()) {
      assertEquals(rows, rgba.subarray(at, at += rows.length));
    }
    assertEquals(at, rgba.length);
  }
});

Deno.test("openPng() reads data in pieces of any length, and bounds their number", async () => {
  const sample = (x: number, y: number, c: number) =>
    Math.imul(x + 97 * y + 13 * c, 40503) >>> 7 & 255;
  const plan = { width: 150, height: 200, sample };
  const expected = await pixels(makePng(plan));
  for (const length of [9, 1000, 65536]) {
    const pieces = (data: Uint8Array) =>
      Array.from({ length: Math.ceil(data.length / length) }, (_, i) => {
        return data.subarray(i * length, (i + 1) * length);
      });
    assertEquals(await pixels(makePng({ ...plan, pieces })), expected);
  }
  const empty = makePng({ width: 1, height: 1, pieces: () => [new Uint8Array()] });
  const [head, idat, end] = [empty.subarray(0, 33), empty.subarray(33, 45), empty.subarray(45)];
  const many = (count: number) => Buffer.concat([head, Buffer.alloc(12 * count, idat), end]);
  const why = corrupt("it has more than 262144 chunks");
  await refused(many(2 ** 18 - 1), "bad-image", why);
  assertEquals([...chunks(many(2 ** 18 - 2), "a")].length, 2 ** 18); // with IHDR and IEND
});

Deno.test("openPng() may be stopped before an interlaced image has its first row", async () => {
  const sample = (x: number, y: number) => Math.imul(x + 97 * y, 2654435761) >>> 24;
  const source = openPng(makePng({ width: 400, height: 300, interlaced: true, sample }), "a");
  for await (const rows of source.rows()) {
    assertEquals(rows.length, 0);
    break;
  }
});

Deno.test("openPng() uses the upper 8 of 16 bits, as Pillow does, and says so", async () => {
  const values = [0x0000, 0x00ff, 0x0100, 0x7fff, 0x8000, 0xfeff, 0xff00, 0xffff];
  const sample = (x: number, _: number, c: number) => values[(x + c) % 8];
  const file = makePng({ width: 8, height: 1, depth: 16, sample });
  const bytes = [0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff];
  const expected = values.flatMap((
    _,
    x,
  ) => [bytes[x], bytes[(x + 1) % 8], bytes[(x + 2) % 8], 255]);
  assertEquals([...await pixels(file)], expected);
  assertEquals(openPng(file, "a").warnings, ["it has 16 bits per channel; 8 are used"]);
});

Deno.test("openPng() takes the still image of an animation, and says so", async () => {
  const { width, height, warnings } = openPng(PNG_ANIMATED, "a");
  assertEquals([width, height], [4, 3]);
  assertEquals(warnings, ["it is animated; its still image is used"]);
  assertEquals(await pixels(PNG_ANIMATED), decodePng(PNG_ANIMATED).rgba);
});

Deno.test("openPng() gives the orientation and the colour profile", () => {
  const small = { width: 1, height: 1 };
  for (let orientation = 1; orientation <= 8; orientation++) {
    const file = makePng({ ...small, before: [["eXIf", exif(orientation, "MM")]] });
    assertEquals(openPng(file, "a").orientation, orientation);
  }
  const profile = Uint8Array.from({ length: 3000 }, (_, i) => i);
  const iccp = (data: Uint8Array) => [...new TextEncoder().encode("P3\0\0"), ...data];
  const file = makePng({ ...small, before: [["iCCP", iccp(deflateSync(profile))]] });
  assertEquals(openPng(file, "a").icc, profile);
  const warned = ["its colour profile is damaged; its colours are taken as sRGB"];
  const huge = deflateSync(new Uint8Array(2 ** 24 + 1)); // more than any profile
  for (const bad of [iccp(deflateSync(profile).subarray(0, 20)), iccp(huge), [], [0]]) {
    const { icc, warnings } = openPng(makePng({ ...small, before: [["iCCP", bad]] }), "a");
    assertEquals([icc, warnings], [undefined, warned]);
  }
});

Deno.test("openPng() warns of colours that are not sRGB and not converted", () => {
  const words = (...values: number[]) =>
    values.flatMap((v) => [v >>> 24, v >>> 16 & 255, v >>> 8 & 255, v & 255]);
  const srgb = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000];
  const warned = (...before: NonNullable<PngPlan["before"]>) =>
    openPng(makePng({ width: 1, height: 1, before }), "a").warnings.length;
  assertEquals(warned(["gAMA", words(45455)], ["cHRM", words(...srgb)]), 0);
  assertEquals(warned(["gAMA", words(45000)]), 0);
  assertEquals(warned(["gAMA", words(100000)]), 1);
  assertEquals(warned(["gAMA", words(100000)], ["sRGB", [0]]), 0);
  assertEquals(warned(["cHRM", words(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)]), 1);
  assertEquals(warned(["cICP", [1, 13, 0, 1]]), 0);
  assertEquals(warned(["cICP", [12, 13, 0, 1]]), 1);
});

Deno.test("openPng() leaves out damaged chunks that the image does not need, and says so", async () => {
  const sample = () => 9;
  const plain = makePng({ width: 2, height: 2, sample });
  const one = makePng({ width: 2, height: 2, sample, before: [["tEXt", [1, 0, 2], true]] });
  assertEquals(await pixels(one), await pixels(plain));
  assertEquals(openPng(one, "a").warnings, ["a damaged chunk is left out"]);
  const before = [["tRNS", [0, 9, 0, 9, 0, 9], true], ["pHYs", [], true]] as const;
  const two = makePng({ width: 2, height: 2, sample, before });
  assertEquals(await pixels(two), await pixels(plain));
  assertEquals(openPng(two, "a").warnings, ["2 damaged chunks are left out"]);
  const needed = makePng({ width: 2, height: 2, before: [["PLTE", [1, 2, 3], true]] });
  await refused(needed, "bad-image", corrupt("its PLTE chunk at byte 33 fails its checksum"));
});

Deno.test("openPng() refuses pixel data that end early, are empty, or too many", async () => {
  // shared cases png-short: a file of 16 rows of 49 bytes
  const size = { width: 16, height: 16 };
  const cut = (bytes: number) => makePng({ ...size, stored: (lines) => lines.subarray(0, bytes) });
  assertEquals((await pixels(cut(784))).length, 1024);
  for (const bytes of [0, 1, 20, 48, 49, 392, 783]) {
    await refused(cut(bytes), "truncated-image", early(784 - bytes));
  }
  const interlaced = { ...size, interlaced: true, stored: (l: Uint8Array) => l.subarray(0, 100) };
  await refused(makePng(interlaced), "truncated-image", early(698));
  const long = (lines: Uint8Array) => Uint8Array.from([...lines, ...lines.subarray(0, 49)]);
  const tooLong = "it has more pixel data than pixels";
  await refused(makePng({ ...size, stored: long }), "bad-image", corrupt(tooLong));
  const lastByte = (lines: Uint8Array) => Uint8Array.from([...lines, 0]);
  await refused(makePng({ ...size, stored: lastByte }), "bad-image", corrupt(tooLong));
});

Deno.test("openPng() refuses compressed data without their end, but not bytes after it", async () => {
  const sample = (x: number, y: number) => x * y & 255;
  const plan = { width: 16, height: 16, sample };
  const pieces = (count: number) => (data: Uint8Array) => [data.subarray(0, data.length + count)];
  // without the checksum at its end, every pixel is there, and no proof of them
  const why = "the file ends before the image does; copy or download it again";
  await refused(makePng({ ...plan, pieces: pieces(-1) }), "truncated-image", why);
  const flipped = (data: Uint8Array) => [data.map((b, i) => i === data.length - 1 ? b ^ 1 : b)];
  const sum = corrupt("incorrect data check");
  await refused(makePng({ ...plan, pieces: flipped }), "bad-image", sum);
  const trailing = (data: Uint8Array) => [data, new Uint8Array(70_000), data];
  assertEquals(await pixels(makePng({ ...plan, pieces: trailing })), await pixels(makePng(plan)));
});

Deno.test("openPng() refuses what no PNG is", async () => {
  const size = { width: 16, height: 16 };
  const filter = { ...size, stored: (lines: Uint8Array) => lines.map((b, i) => i === 49 ? 9 : b) };
  await refused(makePng(filter), "bad-image", corrupt("a line has the unknown filter 9"));
  const form = (type: number, depth: number) => makePng({ ...size, type, depth });
  for (const [type, depth] of [[2, 2], [5, 8], [3, 16], [4, 4], [0, 3], [7, 8], [0, 0]]) {
    const why = `there is no colour type ${type} with ${depth} bits`;
    await refused(form(type, depth), "bad-image", corrupt(why));
  }
  await refused(form(3, 8), "bad-image", corrupt("it has no palette"));
  for (const bytes of [0, 4, 771]) {
    const before = [["PLTE", new Uint8Array(bytes)] as const];
    const why = corrupt(`its palette has ${bytes} bytes`);
    await refused(makePng({ ...size, type: 3, before }), "bad-image", why);
  }
  const before = [["PLTE", [1, 2, 3]] as const];
  for (const depth of [8, 2]) {
    const file = makePng({ ...size, type: 3, depth, before, sample: () => 1 });
    await refused(file, "bad-image", corrupt("colour 1 is not in its palette"));
  }
  await refused(
    makePng({ width: 0, height: 3 }),
    "empty-image",
    "it has no pixels (0x3); use another image",
  );
  const none = makePng({ ...size, pieces: () => [] });
  await refused(none, "bad-image", "the PNG has no image in it; use another file");
  await refused(
    makePng({ ...size, after: [["IHDR", [1]]] }),
    "bad-image",
    corrupt("it has two headers"),
  );
  const unknown = makePng({ ...size, before: [["ABCD", []]] });
  await refused(unknown, "bad-image", corrupt("it has the unknown chunk ABCD"));
});

Deno.test("openPng() ignores pixel data apart from the first", async () => {
  const after = [["tEXt", [97, 0]], ["IDAT", [1, 2]], ["IDAT", [3]]] as const;
  assertEquals((await pixels(makePng({ width: 3, height: 3, after }))).length, 36);
});

Deno.test("openPng() lets no byte of a chunk's name into a message", async () => {
  for (const name of ["ab\x1b[", "\x1b[2J", "a\nbc", "ID\xc2T", "1234"]) {
    const file = makePng({ width: 1, height: 1, before: [[name, []]] });
    await refused(file, "bad-image", corrupt("the chunk at byte 33 has no name"));
  }
});

Deno.test("chunks() reads names beyond 2 GiB", () => {
  const png = makePng({ width: 1, height: 1 });
  const [most, at] = [2 ** 31 - 1, 33];
  const file = new Uint8Array(png.length + 12 + most);
  file.set(png.subarray(0, at));
  new DataView(file.buffer).setUint32(at, most);
  file.set(new TextEncoder().encode("abcd"), at + 4);
  file.set(png.subarray(at), at + 12 + most);
  const types = Array.from(chunks(file, "a"), ({ type }) => type);
  assertEquals(types, ["IHDR", "abcd", "IDAT", "IEND"]);
});

Deno.test("openPng() refuses a size that the data cannot hold, at once", async () => {
  const none = { width: 0, height: 0, type: 0, depth: 1 };
  const plans: (PngPlan & { claims: readonly [number, number] })[] = [
    { ...none, claims: [16384, 16384] }, // shared case bomb-16384-1bit
    { ...none, claims: [1, 16_777_216], type: 2, depth: 8 }, // tall-16M-short
    { ...none, claims: [19, 2_097_163], width: 19, height: 11, depth: 2, sample: (x) => x & 3 }, // bomb
    { ...none, claims: [2 ** 31 - 1, 2 ** 31 - 1], interlaced: true },
  ];
  for (const plan of plans) {
    const file = makePng(plan);
    const error = await inTime(10_000, () => assertRejects(() => pixels(file), FileError));
    assertEquals(error.code, "truncated-image");
    const size = plan.claims.join("x");
    assert(error.message.includes(`bytes of pixel data cannot be ${size} pixels`), error.message);
  }
});

Deno.test("openPng() refuses more pixels than it may read", () => {
  const zeros = (width: number, height: number) => {
    const pieces = () => [deflateSync(new Uint8Array((width / 8 + 1) * height))];
    return makePng({ width: 1, height: 1, type: 0, depth: 1, claims: [width, height], pieces });
  };
  const large = zeros(2 ** 14, 2 ** 13 + 1);
  assertThrows(() => openPng(large, "a"), FileError, "is more than the 134217728 pixels allowed");
  assertEquals(openPng(large, "a", { maxPixels: 2 ** 28 }).height, 2 ** 13 + 1);
  assertThrows(() => openPng(large, "a", { maxPixels: 100 }), FileError, "the 100 pixels allowed");
  const long = zeros(1_000_008, 1);
  assertThrows(() => openPng(long, "a"), FileError, "more than 1000000 pixels on a side");
  // an interlaced image is held: no more bytes than a whole image of RGBA
  const held = { interlaced: true, depth: 16, type: 6 };
  const interlaced = makePng({ width: 30, height: 30, ...held });
  openPng(interlaced, "a", { maxPixels: 1900 });
  const why = "it is interlaced, and takes 7257 bytes of memory";
  assertThrows(() => openPng(interlaced, "a", { maxPixels: 1800 }), FileError, why);
});
