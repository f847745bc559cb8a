import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { FileError } from "../../../engine/mod.ts";
import { encodePng, type Image } from "../../../model/image/png.ts";
import { readImage } from "../../../model/image/read_image.ts";
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

/** A JPEG with an EXIF segment that holds the orientation only. */
function turnedJpeg(orientation: number, order: "II" | "MM"): Uint8Array {
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
  const exif = join(ascii("Exif\0\0"), new Uint8Array(view.buffer));
  const { JPEG } = files;
  return join(JPEG.subarray(0, 2), [0xff, 0xe1, 0, exif.length + 2], exif, JPEG.subarray(2));
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
  const error = await assertRejects(() => readImage(file, "a\ncat.jpg"), FileError);
  assertEquals([error.code, error.message], [code, `Cannot read "a\\ncat.jpg": ${why}`]);
}

Deno.test("readImage() reads a PNG exactly: RGBA, grey, palette", async () => {
  const opaque = PIXELS.map((value, i) => i % 4 === 3 ? 255 : value);
  const size = { width: WIDTH, height: HEIGHT };
  assertEquals(await readImage(files.PNG, "a"), { ...size, rgba: PIXELS });
  assertEquals(await readImage(encodePng(opaque, WIDTH, HEIGHT), "a"), { ...size, rgba: opaque });

  const grey = opaque.map((value, i) => i % 4 === 3 ? value : opaque[i - i % 4]);
  assertEquals(await readImage(files.PNG_GREY, "a"), { ...size, rgba: grey });

  const palette = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 0], [9, 8, 7, 255]];
  const rgba = files.paint(WIDTH, HEIGHT, (x, y) => palette[(x + y) % 4]);
  assertEquals(await readImage(files.PNG_PALETTE, "a"), { ...size, rgba });
});

Deno.test("readImage() reads a JPEG as Pillow does: baseline, progressive, grey", async () => {
  for (const file of [files.JPEG, files.JPEG_PROGRESSIVE]) {
    const image = await readImage(file, "a");
    assertEquals([image.width, image.height], [WIDTH, HEIGHT]);
    assertLess(difference(rgbOf(image), files.JPEG_PIXELS).most, 2);
    assert(alphaOf(image.rgba).every((value) => value === 255));
  }
  const grey = await readImage(files.JPEG_GREY, "a");
  const expected = Uint8Array.from(rgbOf(grey), (_, i) => files.JPEG_GREY_PIXELS[(i - i % 3) / 3]);
  assertLess(difference(rgbOf(grey), expected).most, 2);
});

Deno.test("readImage() reads a WebP as Pillow does: lossy, lossless, with alpha", async () => {
  const lossy = await readImage(files.WEBP, "a");
  assertEquals([lossy.width, lossy.height], [WIDTH, HEIGHT]);
  assertLess(difference(rgbOf(lossy), files.WEBP_PIXELS).most, 2);

  const lossless = await readImage(files.WEBP_LOSSLESS, "a");
  assertEquals(lossless, { width: WIDTH, height: HEIGHT, rgba: PIXELS });

  const { rgba } = await readImage(files.WEBP_ALPHA, "a");
  assertEquals(alphaOf(rgba), alphaOf(PIXELS));
  const seen = (pixels: Uint8Array) =>
    pixels.filter((_, i) => i % 4 < 3 && PIXELS[i - i % 4 + 3] > 0);
  assertLess(difference(seen(rgba), seen(PIXELS)).mean, 16);
});

Deno.test("readImage() rotates a JPEG upright by its EXIF orientation", async () => {
  const stored = await readImage(files.JPEG, "a");
  const [right, bottom] = [WIDTH - 1, HEIGHT - 1];
  const source: ((x: number, y: number) => [x: number, y: number])[] = [
    (x, y) => [x, y],
    (x, y) => [right - x, y],
    (x, y) => [right - x, bottom - y],
    (x, y) => [x, bottom - y],
    (x, y) => [y, x],
    (x, y) => [y, bottom - x],
    (x, y) => [right - y, bottom - x],
    (x, y) => [right - y, x],
  ];
  for (const order of ["II", "MM"] as const) {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const [width, height] = orientation < 5 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH];
      const rgba = files.paint(width, height, (x, y) => {
        const [column, row] = source[orientation - 1](x, y);
        const at = (row * WIDTH + column) * 4;
        return [...stored.rgba.subarray(at, at + 4)];
      });
      const image = await readImage(turnedJpeg(orientation, order), "a");
      assertEquals(image, { width, height, rgba }, `${order} ${orientation}`);
    }
  }
  assertEquals(await readImage(turnedJpeg(9, "II"), "a"), stored); // no orientation
});

Deno.test("readImage() recognises a file by its bytes, and accepts a view into a larger buffer", async () => {
  for (const file of [files.PNG, files.JPEG, files.WEBP]) {
    const before = await readImage(file, "cat.txt");
    const view = join([7], file, [7, 7]).subarray(1, -2);
    assertEquals(await readImage(view, "cat.gif"), before);
  }
});

Deno.test("readImage() reads several files concurrently, good and bad", async () => {
  const bad = patched(files.JPEG, markerAt(files.JPEG, 0xda) + 16, 0xff, 0xd0, 0xff, 0xd1);
  const alone = await readImage(files.JPEG, "a");
  const all = await Promise.allSettled(
    [files.JPEG, bad, files.WEBP, files.JPEG, bad, files.JPEG].map((f) => readImage(f, "a")),
  );
  const read = "fulfilled";
  assertEquals(all.map(({ status }) => status), [read, "rejected", read, read, "rejected", read]);
  for (const i of [0, 3, 5]) assertEquals(all[i], { status: read, value: alone });
});

Deno.test("readImage() refuses a file that is not an image", async () => {
  await assertRefused(
    new Uint8Array(),
    "empty-file",
    "the file is empty; use a PNG, JPEG or WebP image",
  );
  const other = "it is not a PNG, JPEG or WebP image; save it as one of these";
  const riff = join(ascii("RIFF"), [4, 0, 0, 0], ascii("WAVE"));
  for (const file of [ascii("GIF89a"), ascii("cat"), riff, files.PNG.subarray(0, 7)]) {
    await assertRefused(file, "not-an-image", other);
  }
});

Deno.test("readImage() refuses an animated image", async () => {
  const png = "it is an animated PNG; save one frame of it as an image";
  await assertRefused(files.PNG_ANIMATED, "animated-image", png);
  const webp = "it is an animated WebP; save one frame of it as an image";
  await assertRefused(files.WEBP_ANIMATED, "animated-image", webp);
  const { WEBP_ANIMATED } = files; // without the flag, its frames still show that it is animated
  await assertRefused(
    patched(WEBP_ANIMATED, 20, WEBP_ANIMATED[20] & ~2),
    "animated-image",
    webp,
  );
});

Deno.test("readImage() refuses CMYK and more than 8 bits", async () => {
  await assertRefused(
    files.JPEG_CMYK,
    "cmyk-image",
    "it is in CMYK, for print; convert it to RGB",
  );
  const ycck = patched(files.JPEG_CMYK, markerAt(files.JPEG_CMYK, 0xee) + 15, 2);
  await assertRefused(ycck, "cmyk-image", "it is in CMYK, for print; convert it to RGB");

  const deep = (bits: number) =>
    `it has ${bits} bits per channel; convert it to 8 bits per channel`;
  await assertRefused(files.PNG_16, "deep-image", deep(16));
  const jpeg = patched(files.JPEG, markerAt(files.JPEG, 0xc0) + 4, 12);
  await assertRefused(jpeg, "deep-image", deep(12));
});

Deno.test("readImage() refuses a JPEG of an unsupported coding", async () => {
  const why = "it is a lossless, hierarchical or arithmetic-coded JPEG; save it as an ordinary one";
  for (const sof of [0xc3, 0xc5, 0xc7, 0xc9, 0xca, 0xcf]) {
    const file = patched(files.JPEG, markerAt(files.JPEG, 0xc0) + 1, sof);
    await assertRefused(file, "unsupported-image", why);
  }
});

Deno.test("readImage() refuses a large claimed size without allocating it", async () => {
  const large = (size: string) =>
    `${size} is more than the 134217728 pixels allowed; make it smaller`;
  await assertRefused(sizedPng(100_000, 100_000), "image-too-large", large("100000x100000"));
  await assertRefused(sizedJpeg(65535, 65534), "image-too-large", large("65535x65534"));
  const canvas = patched(files.WEBP_ALPHA, 24, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
  await assertRefused(canvas, "image-too-large", large("16777216x16777216"));
});

Deno.test("readImage() refuses a size of zero", async () => {
  const none = (size: string) => `it has no pixels (${size}); use another image`;
  await assertRefused(sizedPng(0, 7), "empty-image", none("0x7"));
  await assertRefused(sizedJpeg(7, 0), "empty-image", none("7x0"));
  await assertRefused(patched(files.WEBP, 26, 0, 0), "empty-image", none("0x11"));
});

Deno.test("readImage() refuses a file truncated anywhere", async () => {
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
    "the JPEG is corrupt (Corrupt JPEG data: premature end of data segment); use another file",
  );
});

Deno.test("readImage() refuses a corrupt file in one line", async () => {
  const png = patched(files.PNG, 30, files.PNG[30] ^ 1);
  await assertRefused(
    png,
    "bad-image",
    "the PNG is corrupt (the IHDR chunk at byte 8 is corrupt (CRC)); use another file",
  );
  const unheaded = patched(files.PNG, 12, 10); // a chunk whose name begins with a line break
  await assertRefused(unheaded, "bad-image", "the PNG has no image in it; use another file");
  const table = patched(files.JPEG, markerAt(files.JPEG, 0xc4) + 5, 255, 255);
  await assertRefused(
    table,
    "bad-image",
    "the JPEG is corrupt (Bogus Huffman table definition); use another file",
  );
  const empty = join(files.JPEG.subarray(0, 2), [0xff, 0xd9]);
  await assertRefused(empty, "bad-image", "the JPEG has no image in it; use another file");
  const webp = patched(files.WEBP, 23, 0);
  await assertRefused(webp, "bad-image", "the WebP is corrupt; use another file");
});

Deno.test("readImage() reads an image with stray bytes after it or between JPEG segments", async () => {
  const { JPEG } = files;
  for (const file of [files.PNG, JPEG, files.WEBP, files.WEBP_ALPHA]) {
    const trailing = join(file, [0, 0xff, 0xd8, 9]);
    assertEquals(await readImage(trailing, "a"), await readImage(file, "a"));
  }
  const whole = await readImage(JPEG, "a");
  const at = markerAt(JPEG, 0xdb);
  for (
    const file of [
      join(JPEG.subarray(0, at), [1, 2, 3], JPEG.subarray(at)),
      join(JPEG.subarray(0, at), [0xff, 0xff], JPEG.subarray(at)),
    ]
  ) assertEquals(await readImage(file, "a"), whole);
});

Deno.test("readImage() returns an image or one error for any damage, and prints nothing", async () => {
  const { log, warn, error } = console;
  let printed = 0;
  console.log = console.warn = console.error = () => void printed++;
  let [read, refused] = [0, 0];
  try {
    for (const file of [files.PNG, turnedJpeg(6, "MM"), files.WEBP, files.WEBP_LOSSLESS]) {
      for (let at = 0; at < file.length; at++) {
        for (const flip of [1, 0x10, 0xff]) {
          try {
            const { width, height, rgba } = await readImage(
              patched(file, at, file[at] ^ flip),
              "a",
            );
            assertEquals(rgba.length, width * height * 4);
            read++;
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
  assert(read > 300 && refused > 300, `${read} read, ${refused} refused`);
});

Deno.test("readImage() needs read permission only, prints nothing and leaves no global", async () => {
  const code = `
    import { readImage } from ${
    JSON.stringify(import.meta.resolve("../../../model/image/read_image.ts"))
  };
    import * as files from ${JSON.stringify(import.meta.resolve("./image_files.ts"))};
    const globals = () => Object.getOwnPropertyNames(globalThis).join() + typeof location;
    const before = globals();
    const cut = new Uint8Array([...files.JPEG.subarray(0, -40), 0xff, 0xd9]);
    const torn = files.WEBP.map((byte, i) => i === 23 ? 0 : byte);
    for (const file of [files.PNG, files.JPEG, files.WEBP, cut, torn, files.JPEG_CMYK]) {
      console.log(await readImage(file, "a").then(() => "read", (error) => error.hint ?? error.code));
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
    ["read", jpeg, webp, cut, torn, "cmyk-image", "true", ""].join("\n");
  const bad = "bad-image";
  assertEquals(await run("--allow-read"), [outcomes("read", "read", bad, bad), ""]);
  const none = "allow-read"; // the hint
  assertEquals(await run(), [outcomes(none, none, none, none), ""]);
});
