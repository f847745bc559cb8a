import { assert, assertEquals, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import { InputError } from "../../../engine/mod.ts";
import { encodeApng } from "../../../model/image/apng.ts";
import { decodePng } from "../../decode_png.ts";
import { encodePng, type Image, readPngText } from "../../../model/image/png.ts";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

interface Chunk {
  type: string;
  data: Uint8Array;
  view: DataView;
}

/** A reader that shares only node:zlib's CRC with the code under test. */
function walk(file: Uint8Array): Chunk[] {
  assertEquals([...file.subarray(0, 8)], SIGNATURE);
  const whole = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found: Chunk[] = [];
  for (let at = 8; at < file.length;) {
    const length = whole.getUint32(at);
    const body = file.subarray(at + 4, at + 8 + length);
    assertEquals(whole.getUint32(at + 8 + length), crc32(body));
    const data = body.subarray(4);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    found.push({ type: String.fromCharCode(...body.subarray(0, 4)), data, view });
    at += 12 + length;
  }
  return found;
}

/** Makes a PNG of one frame: header, compressed pixels, end. */
function still(header: Uint8Array, pixels: Uint8Array): Uint8Array {
  const word = (n: number) => [n >>> 24, n >>> 16, n >>> 8, n].map((b) => b & 255);
  const framed = (type: string, data: Uint8Array) => {
    const body = new Uint8Array([...new TextEncoder().encode(type), ...data]);
    return [...word(data.length), ...body, ...word(crc32(body))];
  };
  const end = framed("IEND", new Uint8Array());
  return new Uint8Array([
    ...SIGNATURE,
    ...framed("IHDR", header),
    ...framed("IDAT", pixels),
    ...end,
  ]);
}

function noise(width: number, height: number, seed: number, alpha?: number): Image {
  const length = width * height * 4;
  const rgba = Uint8Array.from({ length }, (_, i) => Math.imul(i + 97 * seed, 2654435761) >>> 24);
  if (alpha !== undefined) { for (let i = 3; i < length; i += 4) rgba[i] = alpha; }
  return { width, height, rgba };
}

Deno.test("encodeApng() stores every frame with its size and delay, and the last one as the default image", () => {
  for (const [width, height, count] of [[1, 1, 1], [7, 3, 2], [33, 64, 5]] as const) {
    for (const alpha of [255, undefined]) {
      const frames = Array.from({ length: count }, (_, i) => noise(width, height, i, alpha));
      const before = frames.map(({ rgba }) => rgba.slice());
      const delays = [40, 65535, 0, 1000, 1].slice(0, count);
      const file = encodeApng(frames, delays);
      assertEquals(frames.map(({ rgba }) => rgba), before);

      const chunks = walk(file);
      const animated = Array.from({ length: count }, () => ["fcTL", "fdAT"]).flat();
      const order = ["IHDR", "acTL", "IDAT", ...animated, "IEND"];
      assertEquals(chunks.map(({ type }) => type), order);
      const [header, animation] = chunks as [Chunk, Chunk];
      assertEquals([header.view.getUint32(0), header.view.getUint32(4)], [width, height]);
      assertEquals(header.data[9], alpha === 255 ? 2 : 6);
      assertEquals([...animation.data], [0, 0, 0, count, 0, 0, 0, 0]); // endless

      const numbered = chunks.filter(({ type }) => type === "fcTL" || type === "fdAT");
      assertEquals(numbered.map(({ view }) => view.getUint32(0)), [...numbered.keys()]);
      const controls = chunks.filter(({ type }) => type === "fcTL");
      for (const [i, { data, view }] of controls.entries()) {
        assertEquals(data.length, 26);
        assertEquals([4, 8, 12, 16].map((at) => view.getUint32(at)), [width, height, 0, 0]);
        assertEquals([view.getUint16(20), view.getUint16(22)], [delays[i], 1000]);
        assertEquals([data[24], data[25]], [0, 0]); // no disposal, no blending
      }
      const pixels = chunks.filter(({ type }) => type === "fdAT").map(({ data }) =>
        data.subarray(4)
      );
      assertEquals(pixels.map((data) => decodePng(still(header.data, data))), frames);
      assertEquals(decodePng(file), frames.at(-1)); // the default image is the finished one
    }
  }
});

Deno.test("encodeApng() stores alpha in all frames if one has it", () => {
  for (const clear of [0, 1, 2]) {
    const frames = [0, 1, 2].map((i) => noise(4, 4, i, i === clear ? undefined : 255));
    const chunks = walk(encodeApng(frames, [1, 2, 3]));
    assertEquals(chunks[0]?.data[9], 6);
    const last = chunks.findLast(({ type }) => type === "fdAT");
    assert(last);
    assertEquals(decodePng(still(chunks[0]!.data, last.data.subarray(4))), frames[2]);
  }
});

Deno.test("encodeApng() writes text where encodePng() does", () => {
  const frames = [noise(2, 2, 0, 255), noise(2, 2, 1, 255)];
  const text: Record<string, string> = { parameters: "猫 🐱\nSeed: 1", Software: "bitwise" };
  const file = encodeApng(frames, [10, 20], text);
  assertEquals({ ...readPngText(file) }, text);
  const types = walk(file).map(({ type }) => type);
  const fromStill = walk(encodePng(frames[0]!.rgba, 2, 2, text)).map(({ type }) => type);
  assertEquals(types.slice(0, 4), ["IHDR", "iTXt", "tEXt", "acTL"]);
  assertEquals(types.slice(0, 3), fromStill.slice(0, 3));
});

Deno.test("encodeApng() refuses what it cannot store", () => {
  const [a, b] = [noise(2, 2, 0), noise(2, 2, 1)];
  const refuses = (frames: Image[], delays: number[], reason: string, text = {}) => {
    const { message } = assertThrows(() => encodeApng(frames, delays, text), InputError, reason);
    assert(!message.includes("\n"));
  };
  refuses([], [], "at least one frame");
  refuses([a, b], [1], "one delay per frame, got 1 for 2");
  refuses([a], [1, 1], "one delay per frame, got 2 for 1");
  refuses([a, noise(2, 3, 0)], [1, 1], "frame 1 is 2x3, the first is 2x2");
  refuses([a, b, noise(1, 2, 0)], [1, 1, 1], "frame 2 is 1x2");
  for (const delay of [-1, 0.5, 65536, NaN, Infinity]) {
    refuses([a, b], [1, delay], `whole milliseconds, got ${delay}`);
  }
  refuses(
    [a, { ...b, rgba: b.rgba.subarray(1) }],
    [1, 1],
    "15 bytes as 2x2 pixels: 4 channels are 16",
  );
  refuses([a], [1], "keyword", { "é": "" });
});
