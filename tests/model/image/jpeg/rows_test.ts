import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FileError } from "../../../../engine/mod.ts";
import { openJpeg } from "../../../../model/image/jpeg/rows.ts";
import * as files from "../image_files.ts";
import { flatJpeg } from "./flat_jpeg.ts";
import { JPEGS } from "./jpeg_files.ts";
import { inTime } from "../../../in_time.ts";

const decoded = JPEGS.map(([what, base64, sha256]) => ({
  what,
  sha256,
  file: Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (char) => char.charCodeAt(0)),
}));

/** Reads all pixels, RGB. */
async function rgbOf(file: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, rows } = openJpeg(file, "a");
  const rgb = new Uint8Array(width * height * 3);
  let at = 0;
  for await (const piece of rows()) {
    assertEquals(piece.length % (width * 4), 0, "whole rows");
    for (let i = 0; i < piece.length; i++) {
      if (i % 4 < 3) rgb[at++] = piece[i]!;
      else assertEquals(piece[i], 255);
    }
  }
  assertEquals(at, rgb.length);
  return rgb;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** The offset of a marker's data, after its length. */
function dataOf(file: Uint8Array, marker: number): number {
  const at = file.findIndex((byte, i) => byte === 0xff && file[i + 1] === marker);
  assert(at > 0);
  return at + 4;
}

function patched(file: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = file.slice();
  copy.set(bytes, at);
  return copy;
}

for (const { what, file, sha256: expected } of decoded) {
  Deno.test(`openJpeg() gives the bytes of libjpeg: ${what}`, async () => {
    assertEquals(await sha256(await rgbOf(file)), expected);
  });
}

Deno.test("openJpeg() gives the same rows each time", async () => {
  for (const { file } of decoded) {
    const { rows } = openJpeg(file, "a");
    const [one, two] = [await Array.fromAsync(rows(), copy), await Array.fromAsync(rows(), copy)];
    assertEquals(one, two);
  }
});

function copy(piece: Uint8Array): Uint8Array {
  return piece.slice();
}

Deno.test("openJpeg() refuses at once a size that the bytes cannot hold", async () => {
  for (const [file, sof] of [[files.JPEG, 0xc0], [files.JPEG_PROGRESSIVE, 0xc2]] as const) {
    const at = dataOf(file, sof) + 1;
    for (const [width, height] of [[2048, 2048], [65535, 2048], [16, 65535]] as const) {
      const claim = patched(file, at, height >> 8, height & 255, width >> 8, width & 255);
      const error = await inTime(
        1000,
        () => assertThrows(() => openJpeg(claim, "a"), FileError),
      );
      assertEquals(error.code, "truncated-image");
    }
  }
});

Deno.test("openJpeg() needs the rows of a few blocks, however high the image", async () => {
  const { width, height, rows } = openJpeg(flatJpeg(512, 32768), "a");
  assertEquals([width, height], [512, 32768]);
  let count = 0;
  for await (const piece of rows()) {
    count++;
    assertEquals(piece.length, 512 * 8 * 4);
  }
  assertEquals(count, 4096);
});

Deno.test("openJpeg() refuses scans that would keep it busy", () => {
  const { file } = decoded.find(({ what }) => what.startsWith("13x21, progressive"))!;
  const at = dataOf(file, 0xda) - 4;
  const end = file.findIndex((byte, i) => i > at + 2 && byte === 0xff && file[i + 1]! >= 0xc0);
  const scan = file.slice(at, end);
  const before = file.subarray(0, end);
  // the first scan again, 1000 times
  const repeated = new Uint8Array(before.length + 1000 * scan.length + file.length - end);
  repeated.set(before);
  for (let i = 0; i < 1000; i++) repeated.set(scan, end + i * scan.length);
  repeated.set(file.subarray(end), end + 1000 * scan.length);
  const error = assertThrows(() => openJpeg(repeated, "a"), FileError);
  assertEquals(
    error.message,
    'Cannot read "a": the JPEG is corrupt (its scans are in a wrong order); use another file',
  );
});

Deno.test("openJpeg() gives all pixels or one error for any damage", async () => {
  let whole = 0, refused = 0;
  for (const { file } of decoded) {
    for (let at = 2; at < file.length; at += 3) {
      for (const flip of [1, 0x80, 0xff]) {
        try {
          await rgbOf(patched(file, at, file[at]! ^ flip));
          whole++;
        } catch (error) {
          assert(error instanceof FileError, `${error}`);
          assert(/^Cannot read "a": [^\n]+; [a-z][^\n.]+$/.test(error.message), error.message);
          refused++;
        }
      }
    }
  }
  assert(whole > 500 && refused > 500, `${whole} whole, ${refused} refused`);
});

Deno.test("openJpeg() refuses a file without its end, wherever it is cut", async () => {
  for (const { file } of decoded) {
    for (let length = 3; length < file.length; length += 5) {
      const error = await assertRejects(() => rgbOf(file.subarray(0, length)), FileError);
      assertEquals(error.code, "truncated-image");
    }
  }
});
