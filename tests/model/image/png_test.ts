import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";
import { PNG } from "pngjs";
import { FileError, InputError } from "../../../engine/mod.ts";
import { decodePng } from "../../decode_png.ts";
import { encodePng, readPngText } from "../../../model/image/png.ts";

const utf8 = new TextDecoder();
const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);

/** A reader independent of the code under test: bitwise CRC, DataView, no node:zlib. */
function walk(file: Uint8Array): { type: string; data: Uint8Array }[] {
  assertEquals(latin1(file.subarray(0, 8)), "\x89PNG\r\n\x1a\n");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found = [];
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at);
    const body = file.subarray(at + 4, at + 8 + length);
    assertEquals(view.getUint32(at + 8 + length), crc(body));
    found.push({ type: latin1(body.subarray(0, 4)), data: body.subarray(4) });
    at += 12 + length;
  }
  return found;
}

function crc(bytes: Uint8Array): number {
  let c = ~0;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
  }
  return ~c >>> 0;
}

function noise(pixels: number, alpha?: number): Uint8Array {
  const rgba = Uint8Array.from({ length: pixels * 4 }, (_, i) => (i * 2654435761) >>> 24);
  if (alpha !== undefined) { for (let i = 3; i < rgba.length; i += 4) rgba[i] = alpha; }
  return rgba;
}

/** Inserts a chunk after a file's header. */
function withChunk(file: Uint8Array, type: string, data: Uint8Array): Uint8Array {
  const body = new Uint8Array([...new TextEncoder().encode(type), ...data]);
  const word = (n: number) => [n >>> 24, n >>> 16, n >>> 8, n].map((b) => b & 255);
  const added = [...word(data.length), ...body, ...word(crc(body))];
  return new Uint8Array([...file.subarray(0, 33), ...added, ...file.subarray(33)]);
}

Deno.test("encodePng() keeps every pixel", () => {
  for (const [width, height] of [[1, 1], [7, 3], [64, 33]]) {
    for (const alpha of [255, undefined]) {
      const rgba = noise(width * height, alpha);
      const before = rgba.slice();
      const file = encodePng(rgba, width, height);
      assertEquals(decodePng(file), { width, height, rgba: before });
      assertEquals(rgba, before);
      const [header] = walk(file);
      assertEquals(header.type, "IHDR");
      assertEquals(header.data[9], alpha === 255 ? 2 : 6); // RGB if nothing is transparent
    }
  }
});

Deno.test("encodePng() takes a view into a larger buffer", () => {
  const rgba = noise(6, 255);
  const view = (bytes: Uint8Array) => new Uint8Array([9, ...bytes, 9]).subarray(1, -1);
  assertEquals(decodePng(view(encodePng(view(rgba), 3, 2))), { width: 3, height: 2, rgba });
});

Deno.test("encodePng() writes Latin-1 as tEXt before the pixels", () => {
  const parameters = "un café, très bon\nNegative prompt: blurry\nSteps: 7, Seed: 1, Size: 2x2";
  const file = encodePng(noise(4, 255), 2, 2, { parameters });
  const [header, text, pixels] = walk(file);
  assertEquals([header.type, text.type, pixels.type], ["IHDR", "tEXt", "IDAT"]);
  assertEquals(latin1(text.data), `parameters\0${parameters}`);
  assertEquals(readPngText(file).parameters, parameters);
});

Deno.test("encodePng() writes all other text as iTXt", () => {
  const parameters = "猫 🐱 in the snow — naïve\nSeed: 1";
  const file = encodePng(noise(4), 2, 2, { parameters, Software: "bitwise" });
  const [, first, second] = walk(file);
  assertEquals([first.type, second.type], ["iTXt", "tEXt"]);
  assertEquals(utf8.decode(first.data), `parameters\0\0\0\0\0${parameters}`);
  assertEquals({ ...readPngText(file) }, { parameters, Software: "bitwise" });
});

Deno.test("encodePng() writes a file that pngjs opens", () => {
  const rgba = noise(20);
  const png = PNG.sync.read(Buffer.from(encodePng(rgba, 5, 4, { parameters: "🐱" })));
  assertEquals([png.width, png.height], [5, 4]);
  assertEquals(new Uint8Array(png.data), rgba);
});

Deno.test("encodePng() is deterministic", () => {
  const file = () => encodePng(noise(64), 8, 8, { parameters: "a" });
  assertEquals(file(), file());
});

Deno.test("encodePng() refuses what a PNG cannot hold", () => {
  assertThrows(
    () => encodePng(noise(3), 2, 2),
    InputError,
    "12 bytes as 2x2 pixels: 4 channels are",
  );
  for (const [width, height] of [[0, 0], [-1, -1], [0.5, 2], [NaN, 1]]) {
    assertThrows(() => encodePng(noise(1), width, height), InputError, "whole numbers above 0");
  }
  const none = undefined as unknown as Uint8Array;
  assertThrows(() => encodePng(none, 1, 1), InputError, "Cannot encode undefined as pixels");
  const number = 5 as unknown as string;
  assertThrows(() => encodePng(noise(1), 1, 1, { a: number }), InputError, "its a is not a string");
  for (const keyword of ["", " a", "a\0b", "é", "x".repeat(80)]) {
    assertThrows(() => encodePng(noise(1), 1, 1, { [keyword]: "" }), InputError, "keyword");
  }
  assertEquals(readPngText(encodePng(noise(1), 1, 1, { a: "x\0y" })).a, "xy");
});

Deno.test("readPngText() reads compressed text and any keyword", () => {
  const plain = encodePng(noise(1), 1, 1);
  const packed = new Uint8Array(deflateSync(new TextEncoder().encode("é🐱")));
  const key = [...new TextEncoder().encode("__proto__\0")];
  const i = withChunk(plain, "iTXt", new Uint8Array([...key, 1, 0, 0, 0, ...packed]));
  assertEquals(Object.entries(readPngText(i)), [["__proto__", "é🐱"]]);
  const z = withChunk(plain, "zTXt", new Uint8Array([...key, 0, ...packed]));
  assertEquals(Object.entries(readPngText(z)).length, 1);
  assertEquals(Object.keys(readPngText(plain)), []);
});

Deno.test("readPngText() refuses a corrupt file", () => {
  const file = encodePng(noise(16), 4, 4, { parameters: "cat" });
  const read = (bytes: Uint8Array) => readPngText(bytes, "a\n.png");
  assertThrows(
    () => read(new Uint8Array()),
    FileError,
    'Cannot read "a\\n.png": it is not a PNG, but empty',
  );
  assertThrows(() => read(file.map((b, i) => i === 20 ? b ^ 1 : b)), FileError, "IHDR");
  // truncated or with one bit flipped, anywhere: a FileError and no other
  for (let i = 0; i < file.length; i++) {
    assertThrows(() => read(file.subarray(0, i)), FileError);
    assertThrows(() => read(file.map((b, j) => j === i ? b ^ 4 : b)), FileError);
  }
});

Deno.test("readPngText() bounds what all texts take together", () => {
  const plain = encodePng(noise(1), 1, 1);
  const packed = (mebibytes: number) => deflateSync(Buffer.alloc(mebibytes * 2 ** 20, "a"));
  const withTexts = (...sizes: number[]) =>
    sizes.reduce<Uint8Array>((file, size, i) => {
      return withChunk(file, "zTXt", Buffer.from([97 + i, 0, 0, ...packed(size)]));
    }, plain);
  assertEquals(Object.values(readPngText(withTexts(8, 8))).map((text) => text.length), [
    2 ** 23,
    2 ** 23,
  ]);
  for (const sizes of [[17], [8, 9], [8, 8, 1]]) {
    assertThrows(() => readPngText(withTexts(...sizes)), FileError, "more than 16 MiB");
  }
});

Deno.test("encodePng() returns bytes that a Response takes", async () => {
  const file: Uint8Array<ArrayBuffer> = encodePng(new Uint8Array(4), 1, 1);
  assertEquals(await new Response(file).bytes(), file);
});

Deno.test("encodePng() frees what it allocates", async () => {
  const rgba = noise(16 * 16, 255);
  const encodeMany = async (count: number) => {
    for (let i = 0; i < count; i++) {
      encodePng(rgba, 16, 16);
      // zlib frees its state in the event loop's next turn
      if (i % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return Deno.memoryUsage().rss;
  };
  const before = await encodeMany(200);
  const grown = await encodeMany(1000) - before;
  assert(grown < 100e6, `1000 images of 1 kB took ${grown} bytes`);
});
