import { assert, assertEquals, assertMatch } from "@std/assert";
import { bytesSource } from "../../../engine/files/byte_source.ts";
import { recognise } from "../../../engine/files/recognise.ts";
import { Safetensors } from "../../../engine/files/safetensors.ts";
import { encodeSafetensors } from "../../../engine/files/safetensors_writer.ts";
import { refuses } from "./safetensors_helpers.ts";
import { inTime } from "../../in_time.ts";

/** Bytes of text in which each character is one byte. */
const bytesOf = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const zip = (name: string) => `PK\x03\x04${"\0".repeat(26)}${name}...`;
const POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0".repeat(64) +
  "\nsize 10296528\n";

const SAMPLES: readonly (readonly [start: string, name: string])[] = [
  ["", "empty; download it again"],
  ["\0".repeat(4096), "an unfinished download, all zeros; download it again"],
  [POINTER, "a Git LFS pointer, not the file; run git lfs pull"],
  ["<!DOCTYPE html>\n<html>", "a web page, not the file; download the file itself"],
  ["\xef\xbb\xbf\n<!-- a --><!-- b --> <HTML lang=en>", "a web page, not the file"],
  ['<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML page"],
  ['<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"],
  ['{"error":"Repository not found"}', "the error of a server, in JSON"],
  ['{\n  "metadata": {}, "weight_map": {}}', "an index of shards"],
  ["GGUF\x03\0\0\0", "a GGUF file"],
  ["tjgg\x01\0\0\0", "a GGML file"],
  ["\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"],
  ["\x93NUMPY\x01\0v\0{'descr'", "a NumPy array"],
  [zip("weights.npy"), "an archive of NumPy arrays"],
  [zip("archive/data.pkl"), "a PyTorch checkpoint"],
  [zip("config.json"), "a Keras model"],
  [zip("README"), "a ZIP archive; unpack it first"],
  ["\x1c\0\0\0TFL3", "a TensorFlow Lite model"],
  ["\x08\x01\x12\x80\x01", "a TensorFlow model"],
  ["\x08\x08\x12\x07pytorch", "an ONNX model"],
  ["\n\x0e\n\x05<pad>", "a SentencePiece model"],
  ["\x80\x02}q\0", "a Python pickle, as old PyTorch checkpoints are"],
  ["\x81\xa6params\x82", "a MessagePack file, as Flax writes"],
  [`${"archive".padEnd(257, "\0")}ustar\0`, "a tar archive; unpack it first"],
  ["\x1f\x8b\x08\0\0\0\0\0\0", "a gzip archive; unpack it first"],
  ["7z\xbc\xaf'\x1c", "a 7z archive"],
  ["Rar!\x1a\x07\x01\0", "a RAR archive"],
  ["(\xb5\x2f\xfd", "a zstd archive"],
  ["\xfd7zXZ\0", "an xz archive"],
  ["BZh91AY&SY", "a bzip2 archive"],
  ["%PDF-1.7\n", "a PDF document"],
  ["\x89PNG\r\n\x1a\n", "a PNG image"],
  ["\xff\xd8\xff\xe0", "a JPEG image"],
  ["RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"],
  ["GIF89a", "a GIF image"],
  ["BM\x36\0\0\0\0\0\0\0", "a BMP image"],
  ["II*\0", "a TIFF or raw image"],
  ["MM\0*", "a TIFF or raw image"],
  ["\0\0\0 ftypavif", "an AVIF image"],
  ["\0\0\0\x18ftypheic", "an HEIC image"],
  ["\xff\n\xfa\x1f", "a JPEG XL image"],
  ["\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"],
  ["\0\0\0\x0cjP  ", "a JPEG 2000 image"],
  ["8BPS\0\x01", "a Photoshop document"],
  ["\0\0\x01\0\x01\0\x10\x10", "an icon"],
  ["qoif", "a QOI image"],
  ["v/1\x01", "an OpenEXR image"],
  ["P6\n4 4\n255\n", "a PNM image"],
  ["\0\0\0\x18ftypmp42", "a video"],
  ["Entry not found\n", 'text that begins "Entry not found"'],
];

Deno.test("recognise() names each kind of file by its first bytes", () => {
  for (const [start, name] of SAMPLES) {
    const found = recognise(bytesOf(start));
    assert(found?.startsWith(name), `${JSON.stringify(start.slice(0, 20))}: ${found}`);
  }
});

Deno.test("recognise() adds the caller's advice where it has none of its own", () => {
  assertEquals(recognise(bytesOf("GIF89a"), "use PNG"), "a GIF image; use PNG");
  assertEquals(recognise(bytesOf(zip("a.txt")), "use PNG"), "a ZIP archive; unpack it first");
});

Deno.test("recognise() knows a safetensors file, and nothing in noise", () => {
  const data = new Float32Array(1);
  const file = encodeSafetensors([{ name: "w", dtype: "F32", shape: [1], data }]);
  assertEquals(recognise(file), "a safetensors file");
  assertEquals(recognise(Uint8Array.of(1, 2, 3, 0xfe, 0xca, 9, 8, 7, 6)), null);
});

Deno.test("recognise() quotes foreign text in one short line of ASCII", () => {
  const name = recognise(bytesOf(`Access denied\r\n\t${"x".repeat(5000)}`))!;
  assertMatch(name, /^text that begins "Access denied x+…"$/);
  assert(name.length < 90);
  assertEquals(recognise(bytesOf("denied \x1b[2J")), null);
});

Deno.test("recognise() takes no time for many comments before nothing", async () => {
  await inTime(1000, () => {
    recognise(bytesOf("<!---->".repeat(1000)));
    recognise(bytesOf("<?xml <".repeat(1000)));
    recognise(bytesOf("\xef\xbb\xbf" + " ".repeat(9000)));
  });
});

Deno.test("Safetensors.open() says what a file is that only has the name", async () => {
  for (const [start, name] of SAMPLES) {
    const file = Safetensors.open(bytesSource("x.safetensors", bytesOf(start)));
    await refuses(file, "not-safetensors", `Cannot read "x.safetensors": it is ${name}`);
  }
});
