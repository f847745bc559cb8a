import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { FileError, InputError } from "../../../engine/mod.ts";
import { encodePng, type Image } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { readProfile } from "../../../model/image/icc.ts";
import {
  described,
  matrixProfile,
  P3_COLUMNS,
  profile,
  SRGB_COLUMNS,
  SRGB_CURVE,
} from "./icc_files.ts";
import { fitAlpha, fitImage, fitMask } from "../../../model/image/resize.ts";
import { flatJpeg } from "./jpeg/flat_jpeg.ts";
import { exif, METADATA } from "./metadata.ts";
import { readImage as read } from "./read.ts";
import * as files from "./image_files.ts";

const { WIDTH, HEIGHT, PIXELS } = files;
const ascii = (text: string) => new TextEncoder().encode(text);
const join = (...parts: Iterable<number>[]) => new Uint8Array(parts.flatMap((p) => [...p]));

/** Replaces bytes at an offset. */
function patched(file: Uint8Array, at: number, ...bytes: number[]): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(file);
  copy.set(bytes, at);
  return copy;
}

/** Returns the offset of a JPEG's first marker of a kind. */
function markerAt(file: Uint8Array, marker: number): number {
  const at = file.findIndex((byte, i) => byte === 0xff && file[i + 1] === marker);
  assert(at > 0);
  return at;
}

/** A PNG whose header claims this size, with a valid checksum. */
function sizedPng(width: number, height: number): Uint8Array {
  const file = encodePng(new Uint8Array(4), 1, 1);
  const view = new DataView(file.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crc32(file.subarray(12, 29)));
  return file;
}

/** The JPEG with a false height and width. */
function sizedJpeg(width: number, height: number): Uint8Array {
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  return patched(files.JPEG, markerAt(files.JPEG, 0xc0) + 5, ...size);
}

function rgbOf({ rgba }: Image): Uint8Array {
  return rgba.filter((_, i) => i % 4 < 3);
}

function alphaOf(rgba: Uint8Array): Uint8Array {
  return rgba.filter((_, i) => i % 4 === 3);
}

/** Returns the largest and the mean difference of two lists of bytes. */
function difference(a: Uint8Array, b: Uint8Array): { most: number; mean: number } {
  assertEquals(a.length, b.length);
  const each = [...a].map((value, i) => Math.abs(value - b[i]));
  return { most: Math.max(...each), mean: each.reduce((x, y) => x + y) / each.length };
}

async function assertRefused(file: Uint8Array, code: string, why: string): Promise<void> {
  const error = await assertRejects(() => read(file, "a\ncat.jpg"), FileError);
  assertEquals([error.code, error.message], [code, `Cannot read "a\\ncat.jpg": ${why}`]);
}

Deno.test("openImage() reads a PNG exactly: RGBA, grey, palette", async () => {
  const opaque = PIXELS.map((value, i) => i % 4 === 3 ? 255 : value);
  const size = { width: WIDTH, height: HEIGHT };
  assertEquals(await read(files.PNG, "a"), { ...size, rgba: PIXELS });
  assertEquals(await read(encodePng(opaque, WIDTH, HEIGHT), "a"), { ...size, rgba: opaque });

  const grey = opaque.map((value, i) => i % 4 === 3 ? value : opaque[i - i % 4]);
  assertEquals(await read(files.PNG_GREY, "a"), { ...size, rgba: grey });

  const palette = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 0], [9, 8, 7, 255]];
  const rgba = files.paint(WIDTH, HEIGHT, (x, y) => palette[(x + y) % 4]);
  assertEquals(await read(files.PNG_PALETTE, "a"), { ...size, rgba });
});

Deno.test("openImage() reads a JPEG as Pillow does: baseline, progressive, grey", async () => {
  for (const file of [files.JPEG, files.JPEG_PROGRESSIVE]) {
    const image = await read(file, "a");
    assertEquals([image.width, image.height], [WIDTH, HEIGHT]);
    assertLess(difference(rgbOf(image), files.JPEG_PIXELS).most, 2);
    assert(alphaOf(image.rgba).every((value) => value === 255));
  }
  const grey = await read(files.JPEG_GREY, "a");
  const expected = Uint8Array.from(rgbOf(grey), (_, i) => files.JPEG_GREY_PIXELS[(i - i % 3) / 3]);
  assertLess(difference(rgbOf(grey), expected).most, 2);
});

Deno.test("openImage() reads a WebP as Pillow does: lossy, lossless, with alpha", async () => {
  const lossy = await read(files.WEBP, "a");
  assertEquals([lossy.width, lossy.height], [WIDTH, HEIGHT]);
  assertLess(difference(rgbOf(lossy), files.WEBP_PIXELS).most, 2);

  const lossless = await read(files.WEBP_LOSSLESS, "a");
  assertEquals(lossless, { width: WIDTH, height: HEIGHT, rgba: PIXELS });

  const { rgba } = await read(files.WEBP_ALPHA, "a");
  assertEquals(alphaOf(rgba), alphaOf(PIXELS));
  const seen = (pixels: Uint8Array) =>
    pixels.filter((_, i) => i % 4 < 3 && PIXELS[i - i % 4 + 3] > 0);
  assertLess(difference(seen(rgba), seen(PIXELS)).mean, 16);
});

/** For each orientation, which pixel as stored is seen at (x, y). */
const [RIGHT, BOTTOM] = [WIDTH - 1, HEIGHT - 1];
const STORED: readonly ((x: number, y: number) => [x: number, y: number])[] = [
  (x, y) => [x, y],
  (x, y) => [RIGHT - x, y],
  (x, y) => [RIGHT - x, BOTTOM - y],
  (x, y) => [x, BOTTOM - y],
  (x, y) => [y, x],
  (x, y) => [y, BOTTOM - x],
  (x, y) => [RIGHT - y, BOTTOM - x],
  (x, y) => [RIGHT - y, x],
];

const FILES = { JPEG: files.JPEG, WebP: files.WEBP_LOSSLESS, PNG: files.PNG };

for (const format of ["JPEG", "WebP", "PNG"] as const) {
  const file = FILES[format];
  Deno.test(`openImage() turns a ${format} upright by its EXIF orientation, once`, async () => {
    const stored = await read(file, "a");
    const turned = (orientation: number, order?: "II" | "MM") =>
      METADATA[format](file, { exif: exif(orientation, order) }, WIDTH, HEIGHT);
    for (const order of ["II", "MM"] as const) {
      for (let orientation = 1; orientation <= 8; orientation++) {
        const [width, height] = orientation < 5 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH];
        const rgba = files.paint(width, height, (x, y) => {
          const [column, row] = STORED[orientation - 1](x, y);
          const at = (row * WIDTH + column) * 4;
          return [...stored.rgba.subarray(at, at + 4)];
        });
        const open = await openImage(turned(orientation, order), "a");
        assertEquals([open.width, open.height, open.warnings], [width, height, []]);
        const image = { width, height, rgba };
        assertEquals(await open.image(), image, `${order} ${orientation}`);
        assertEquals(await open.fit(width, height), await fitImage(image, width, height));
        assertEquals(await open.fitMask(width, height), await fitMask(image, width, height));
        assertEquals(await open.fitAlpha(width, height), await fitAlpha(image, width, height));
      }
    }
    assertEquals(await read(turned(9, "II"), "a"), stored); // no orientation
  });
}

Deno.test("openImage() crops and scales a turned image as its upright twin", async () => {
  // smooth: what passes 0 or 255 between the two directions depends on their order
  const rgba = files.paint(WIDTH, HEIGHT, (x, y) => [20 + 10 * x, 20 + 15 * y, 30 + 5 * x, 255]);
  const smooth = encodePng(rgba, WIDTH, HEIGHT);
  for (let orientation = 1; orientation <= 8; orientation++) {
    const file = METADATA.PNG(smooth, { exif: exif(orientation) });
    const open = await openImage(file, "a");
    const twin = await open.image();
    // an odd number of pixels is cut off across, down, or nowhere
    for (const [width, height] of [[8, 8], [5, 9], [9, 5], [40, 23], [23, 40]] as const) {
      const [turned, expected] = [
        await open.fit(width, height),
        await fitImage(twin, width, height),
      ];
      const most = turned.reduce((m, value, i) => Math.max(m, Math.abs(value - expected[i]!)), 0);
      assertLess(most * 127.5, 2.01, `${orientation}, ${width}x${height}`);
    }
  }
});

for (const format of ["JPEG", "WebP", "PNG"] as const) {
  const file = FILES[format];
  const withProfile = (icc: Uint8Array) => METADATA[format](file, { icc }, WIDTH, HEIGHT);

  Deno.test(`openImage() converts a ${format} with a colour profile to sRGB`, async () => {
    const stored = await read(file, "a");
    const profile = matrixProfile(P3_COLUMNS, SRGB_CURVE, "Display P3");
    const expected = stored.rgba.slice();
    const known = readProfile(profile);
    assert(known.kind === "convert");
    known.convert(expected);
    assert(difference(expected, stored.rgba).most > 20);
    const open = await openImage(withProfile(profile), "a");
    assertEquals(open.warnings, []);
    const image = { width: WIDTH, height: HEIGHT, rgba: expected };
    assertEquals(await open.image(), image);
    assertEquals(await open.fit(32, 32), await fitImage(image, 32, 32));
    assertEquals(await open.image(), image, "converted once, however often it is read");
  });

  Deno.test(`openImage() leaves a ${format} with the profile of sRGB as it is`, async () => {
    const open = await openImage(withProfile(matrixProfile(SRGB_COLUMNS, SRGB_CURVE)), "a");
    assertEquals(open.warnings, []);
    assertEquals(await open.image(), await read(file, "a"));
  });

  Deno.test(`openImage() warns of a ${format}'s profile that it does not apply`, async () => {
    const table = profile({ desc: described("US\x1b[2J Web\n"), A2B0: Buffer.alloc(9) }, "CMYK");
    const cut = matrixProfile(P3_COLUMNS, SRGB_CURVE).subarray(0, 150);
    for (
      const [icc, warning] of [
        [table, '"a": its colour profile "US\\u001b[2J Web" is not applied'],
        [cut, '"a": its colour profile is not applied'],
        [Uint8Array.of(1, 2, 3), '"a": its colour profile is not applied'],
      ] as const
    ) {
      const open = await openImage(withProfile(icc), "a");
      assertEquals(open.warnings, [warning]);
      assertEquals(await open.image(), await read(file, "a"));
    }
  });
}

Deno.test("openImage() recognises a file by its bytes, and accepts a view into a larger buffer", async () => {
  for (const file of [files.PNG, files.JPEG, files.WEBP]) {
    const before = await read(file, "cat.txt");
    const view = join([7], file, [7, 7]).subarray(1, -2);
    assertEquals(await read(view, "cat.gif"), before);
  }
});

Deno.test("openImage() reads several files concurrently, good and bad", async () => {
  const bad = patched(files.JPEG, markerAt(files.JPEG, 0xda) + 16, 0xff, 0xd0, 0xff, 0xd1);
  const alone = await read(files.JPEG, "a");
  const all = await Promise.allSettled(
    [files.JPEG, bad, files.WEBP, files.JPEG, bad, files.JPEG].map((f) => read(f, "a")),
  );
  const good = "fulfilled";
  assertEquals(all.map(({ status }) => status), [good, "rejected", good, good, "rejected", good]);
  for (const i of [0, 3, 5]) assertEquals(all[i], { status: good, value: alone });
});

Deno.test("openImage() refuses a file that is not an image", async () => {
  await assertRefused(
    new Uint8Array(),
    "empty-file",
    "the file is empty; use a PNG, JPEG or WebP image",
  );
  const advice = "; save it as a PNG, JPEG or WebP image";
  const riff = join(ascii("RIFF"), [4, 0, 0, 0], ascii("WAVE"));
  for (
    const [file, why] of [
      [ascii("GIF89a"), `it is a GIF image${advice}`],
      [riff, `it is a sound${advice}`],
      [join([0, 0, 0, 28], ascii("ftypavif")), `it is an AVIF image${advice}`],
      [join([0, 0, 0, 28], ascii("ftypheic")), `it is an HEIC image${advice}`],
      [join([0xff, 10, 0, 0]), `it is a JPEG XL image${advice}`],
      [ascii("II*\0"), `it is a TIFF or raw image${advice}`],
      [join(ascii("BM"), [1, 2, 3, 4, 0, 0, 0, 0]), `it is a BMP image${advice}`],
      [ascii("8BPS"), `it is a Photoshop document${advice}`],
      [ascii("<svg xmlns="), `it is an SVG drawing${advice}`],
      [join([0, 0, 1, 0, 1, 0]), `it is an icon${advice}`],
      [
        ascii("version https://git-lfs.github.com/spec/v1\n"),
        "it is a Git LFS pointer, not the file; run git lfs pull",
      ],
      [
        ascii("<!doctype html><title>404</title>"),
        "it is a web page, not the file; download the file itself, not the page about it",
      ],
      [ascii("a cat"), `it is text that begins "a cat"`],
      [files.PNG.subarray(0, 7), "it is not a PNG, JPEG or WebP image; save it as one of these"],
    ] as const
  ) await assertRefused(file, "not-an-image", why);
});

Deno.test("openImage() refuses arguments of other types in one line", async () => {
  const { PNG } = files;
  const calls: [unknown[], string][] = [
    ...[undefined, null, "x.png", { length: 9 }, new Float32Array(9), [137, 80]].map(
      (file): [unknown[], string] => [[file, "a"], "give the bytes of a PNG, JPEG or WebP file"],
    ),
    ...[undefined, 7n, {}, Symbol("a")].map(
      (name): [unknown[], string] => [[PNG, name], "its name must be a string"],
    ),
    [[PNG, "a", null], "its limits must be an object"],
    ...["9", NaN, -1, 0, Symbol("a")].map(
      (maxPixels): [unknown[], string] => [
        [PNG, "a", { maxPixels }],
        "maxPixels must be a number above 0",
      ],
    ),
    [[PNG, "a", { signal: {} }], "signal must be an AbortSignal"],
  ];
  const untyped = openImage as (...args: unknown[]) => Promise<unknown>;
  for (const [args, why] of calls) {
    const error = await assertRejects(() => untyped(...args), InputError);
    assert(error.message.startsWith(`Cannot open an image: ${why}`), error.message);
  }
});

Deno.test("openImage() takes an animation's first frame, and says so", async () => {
  const { WEBP_ANIMATED } = files;
  const open = await openImage(WEBP_ANIMATED, "a");
  assertEquals(open.warnings, ['"a": it is animated; its first frame is used']);
  assertEquals(rgbOf(await open.image()), files.WEBP_ANIMATED_PIXELS);
  await assertRefused(
    patched(WEBP_ANIMATED, 24, 0, 0x20, 0, 0, 0x20, 0),
    "image-too-large",
    `it claims 8193x8193 pixels in ${WEBP_ANIMATED.length} bytes; make it smaller`,
  );
  // a frame of 4x3 on a canvas of 9x8, at (2, 4): transparent around it
  const placed = patched(patched(WEBP_ANIMATED, 24, 8, 0, 0, 7), 52, 1, 0, 0, 2);
  const { width, height, rgba } = await read(placed, "a");
  assertEquals([width, height], [9, 8]);
  const expected = files.paint(9, 8, (x, y) => {
    if (x < 2 || x >= 6 || y < 4 || y >= 7) return [0, 0, 0, 0];
    const at = ((y - 4) * 4 + x - 2) * 3;
    return [...files.WEBP_ANIMATED_PIXELS.subarray(at, at + 3), 255];
  });
  assertEquals(rgba, expected);
  await assertRefused(
    patched(WEBP_ANIMATED, 52, 1),
    "bad-image",
    "the WebP is corrupt (its first frame lies outside of it); use another file",
  );
});

Deno.test("openImage() converts CMYK and YCCK to RGB as Pillow does, and says so", async () => {
  const ycck = patched(files.JPEG_CMYK, markerAt(files.JPEG_CMYK, 0xee) + 15, 2);
  for (
    const [file, pixels] of [
      [files.JPEG_CMYK, files.JPEG_CMYK_PIXELS],
      [ycck, files.JPEG_YCCK_PIXELS],
    ] as const
  ) {
    const open = await openImage(file, "a");
    assertEquals(open.warnings, [
      '"a": it is in CMYK, for print; its colours are converted to RGB roughly',
    ]);
    assertEquals(rgbOf(await open.image()), pixels);
  }
});

Deno.test("openImage() refuses a JPEG of more than 8 bits", async () => {
  const why = "it has 12 bits per channel; convert it to 8 bits per channel";
  const jpeg = patched(files.JPEG, markerAt(files.JPEG, 0xc0) + 4, 12);
  await assertRefused(jpeg, "deep-image", why);
});

Deno.test("openImage() refuses a JPEG of an unsupported coding", async () => {
  const why = "it is a lossless, hierarchical or arithmetic-coded JPEG; save it as an ordinary one";
  for (const sof of [0xc3, 0xc5, 0xc7, 0xc9, 0xca, 0xcf]) {
    const file = patched(files.JPEG, markerAt(files.JPEG, 0xc0) + 1, sof);
    await assertRefused(file, "unsupported-image", why);
  }
});

Deno.test("openImage() refuses a large claimed size without allocating it", async () => {
  const large = (size: string) =>
    `${size} is more than the 134217728 pixels allowed; make it smaller`;
  await assertRefused(
    sizedPng(100_000, 100_000),
    "truncated-image",
    "its 10 bytes of pixel data cannot be 100000x100000 pixels; copy or download it again",
  );
  await assertRefused(sizedJpeg(65535, 65534), "image-too-large", large("65535x65534"));
  const canvas = patched(files.WEBP_ALPHA, 24, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
  await assertRefused(canvas, "image-too-large", large("16777216x16777216"));
});

Deno.test("openImage() refuses a still WebP on a canvas of another size", async () => {
  const why = "the WebP is corrupt (it has two sizes); use another file";
  await assertRefused(patched(files.WEBP_ALPHA, 24, 1, 2, 0), "bad-image", why);
});

Deno.test("openImage() refuses at once claims that the bytes of a WebP cannot hold", async () => {
  const ends = "the file ends before the image does; copy or download it again";
  await assertRefused(patched(files.WEBP, 26, 0xff, 0x3f, 0, 0x20), "truncated-image", ends);
  // lossless, one colour: 5 bytes of header and a few of codes hold any size
  const sized = (width: number, height: number) => {
    const size = width - 1 | height - 1 << 14;
    const data = [0x2f, size & 255, size >> 8 & 255, size >> 16 & 255, size >>> 24];
    return join(
      ascii("RIFF"),
      [30, 0, 0, 0],
      ascii("WEBPVP8L"),
      [17, 0, 0, 0],
      data,
      [7, 0xd0, 0xff, 0xfe, 0xf7, 0xbf, 0xff, 0x81, 0x88, 0xe8, 0x7f, 0, 0],
    );
  };
  await assertRefused(
    sized(8000, 6000),
    "image-too-large",
    "it claims 8000x6000 pixels in 17 bytes; make it smaller",
  );
  const { width, height, rgba } = await read(sized(2000, 1000), "a");
  assertEquals([width, height], [2000, 1000]);
  assert(rgba.every((value) => value === 255));
});

Deno.test("openImage() fits 48 megapixels of JPEG in little memory", async () => {
  const file = flatJpeg(8000, 6000);
  const open = await openImage(file, "a");
  assertEquals([open.width, open.height], [8000, 6000]);
  const before = Deno.memoryUsage().rss;
  const pixels = await open.fit(64, 64);
  const grown = (Deno.memoryUsage().rss - before) / 1e6;
  assert(pixels.every((value) => value === pixels[0]));
  assertLess(grown, 100, `${grown} MB`); // all of it would be 192 MB
});

Deno.test("openImage() refuses a size of zero", async () => {
  const none = (size: string) => `it has no pixels (${size}); use another image`;
  await assertRefused(sizedPng(0, 7), "empty-image", none("0x7"));
  await assertRefused(sizedJpeg(7, 0), "empty-image", none("7x0"));
  await assertRefused(patched(files.WEBP, 26, 0, 0), "empty-image", none("0x11"));
});

Deno.test("openImage() refuses a file truncated anywhere", async () => {
  const why = "the file ends before the image does; copy or download it again";
  const { PNG, JPEG, JPEG_PROGRESSIVE, WEBP, WEBP_ALPHA, WEBP_LOSSLESS } = files;
  for (const file of [PNG, JPEG, JPEG_PROGRESSIVE, WEBP, WEBP_ALPHA, WEBP_LOSSLESS]) {
    for (let length = 12; length < file.length; length++) {
      await assertRefused(file.subarray(0, length), "truncated-image", why);
    }
  }
  // an image with its end, but without its middle
  const scan = markerAt(JPEG, 0xda) + 14;
  await assertRefused(
    join(JPEG.subarray(0, scan + 20), [0xff, 0xd9]),
    "bad-image",
    "the JPEG is corrupt (the data of a scan end early); use another file",
  );
});

Deno.test("openImage() refuses a corrupt file in one line", async () => {
  const png = patched(files.PNG, 30, files.PNG[30] ^ 1);
  await assertRefused(
    png,
    "bad-image",
    "the PNG is corrupt (its IHDR chunk at byte 8 fails its checksum); use another file",
  );
  const unheaded = patched(files.PNG, 12, 10); // a chunk whose name begins with a line break
  await assertRefused(
    unheaded,
    "bad-image",
    "the PNG is corrupt (the chunk at byte 8 has no name); use another file",
  );
  const table = patched(files.JPEG, markerAt(files.JPEG, 0xc4) + 5, 255, 255);
  await assertRefused(
    table,
    "bad-image",
    "the JPEG is corrupt (a Huffman table has a wrong length); use another file",
  );
  const empty = join(files.JPEG.subarray(0, 2), [0xff, 0xd9]);
  await assertRefused(empty, "bad-image", "the JPEG has no image in it; use another file");
  const webp = patched(files.WEBP, 23, 0);
  await assertRefused(webp, "bad-image", "the WebP is corrupt; use another file");
});

Deno.test("openImage() reads an image with stray bytes after it or between JPEG segments", async () => {
  const { JPEG } = files;
  for (const file of [files.PNG, JPEG, files.WEBP, files.WEBP_ALPHA]) {
    const trailing = join(file, [0, 0xff, 0xd8, 9]);
    assertEquals(await read(trailing, "a"), await read(file, "a"));
  }
  const whole = await read(JPEG, "a");
  const at = markerAt(JPEG, 0xdb);
  for (
    const file of [
      join(JPEG.subarray(0, at), [1, 2, 3], JPEG.subarray(at)),
      join(JPEG.subarray(0, at), [0xff, 0xff], JPEG.subarray(at)),
    ]
  ) assertEquals(await read(file, "a"), whole);
});

Deno.test("openImage() returns an image or one error for any damage, and prints nothing", async () => {
  const { log, warn, error } = console;
  let printed = 0;
  console.log = console.warn = console.error = () => void printed++;
  let [whole, refused] = [0, 0];
  try {
    for (
      const file of [
        files.PNG,
        METADATA.JPEG(files.JPEG, { exif: exif(6) }),
        files.WEBP,
        files.WEBP_LOSSLESS,
      ]
    ) {
      for (let at = 0; at < file.length; at++) {
        for (const flip of [1, 0x10, 0xff]) {
          try {
            const { width, height, rgba } = await read(
              patched(file, at, file[at] ^ flip),
              "a",
            );
            assertEquals(rgba.length, width * height * 4);
            whole++;
          } catch (error) {
            assertInstanceOf(error, FileError);
            assert(/^Cannot read "a": [^\n]+; [a-z][^\n.]+$/.test(error.message), error.message);
            assert(!/abort|undefined|object/i.test(error.message), error.message);
            refused++;
          }
        }
      }
    }
  } finally {
    Object.assign(console, { log, warn, error });
  }
  assertEquals(printed, 0);
  assert(whole > 300 && refused > 300, `${whole} read, ${refused} refused`);
});

Deno.test("openImage() needs read permission only, prints nothing and leaves no global", async () => {
  const code = `
    import { openImage } from ${
    JSON.stringify(import.meta.resolve("../../../model/image/read_image.ts"))
  };
    import * as files from ${JSON.stringify(import.meta.resolve("./image_files.ts"))};
    const globals = () => Object.getOwnPropertyNames(globalThis).join() + typeof location;
    const before = globals();
    const cut = new Uint8Array([...files.JPEG.subarray(0, -40), 0xff, 0xd9]);
    const torn = files.WEBP.map((byte, i) => i === 23 ? 0 : byte);
    for (const file of [files.PNG, files.JPEG, files.WEBP, cut, torn, files.JPEG_CMYK]) {
      console.log(await openImage(file, "a").then((open) => open.image())
        .then(() => "read", (error) => error.hint ?? error.code));
    }
    console.log(globals() === before);
  `;
  const run = async (...flags: string[]) => {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", ...flags, "--ext=ts", "-"],
      cwd: new URL("../../..", import.meta.url),
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await new Blob([code]).stream().pipeTo(process.stdin);
    const { stdout, stderr } = await process.output();
    return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  };
  const outcomes = (jpeg: string, webp: string, cut: string, torn: string) =>
    ["read", jpeg, webp, cut, torn, "read", "true", ""].join("\n");
  const bad = "bad-image";
  assertEquals(await run("--allow-read"), [outcomes("read", "read", bad, bad), ""]);
  const none = "allow-read"; // the hint
  assertEquals(await run(), [outcomes("read", none, bad, none), ""]);
});
