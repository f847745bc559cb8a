// deno-lint-ignore-file no-control-regex -- magic numbers hold them
/**
 * Says what the bytes of a file are that cannot be read here: a name says little, and many files end up under another's.
 *
 * @module
 */

/** A kind of file: what its first bytes look like, one character each, what it is, and what to do about it. */
type Kind = readonly [looks: RegExp, name: string, advice?: string];

/** Bytes that are looked at. */
const HEAD = 1024;

const UNPACK = "unpack it first";
const AGAIN = "download it again";
const CONVERT = "convert it to safetensors";

/** The first that matches; those with a magic number come before guesses. */
const KINDS: readonly Kind[] = [
  [/^$/, "empty", AGAIN],
  [/^\0{16,}$/, "an unfinished download, all zeros", AGAIN],
  [
    /^version (https:\/\/git-lfs|http:\/\/git-media)/,
    "a Git LFS pointer, not the file",
    "run git lfs pull",
  ],
  [
    /^(\xef\xbb\xbf)?\s*(<!--((?!-->).)*-->\s*)*<(!doctype html|html|head|body|title)\b/is,
    "a web page, not the file",
    "download the file itself, not the page about it",
  ],
  [/^(\xef\xbb\xbf)?\s*<(\?xml.*<)?svg\b/is, "an SVG drawing"],
  [/^(\xef\xbb\xbf)?\s*<(\?xml|error\b)/i, "an XML page, such as the error of a server", AGAIN],
  [/^\s*\{\s*"(error|message|detail|status)"/i, "the error of a server, in JSON", AGAIN],
  [/^\s*\{\s*"(metadata|weight_map)"/, "an index of shards", "name it X.safetensors.index.json"],

  [/^GGUF/, "a GGUF file"],
  [/^(lmgg|fmgg|tjgg|algg)/, "a GGML file"],
  [/^\x89HDF\r\n\x1a\n/, "an HDF5 file, as Keras writes"],
  [/^\x93NUMPY/, "a NumPy array"],
  [/^PK\x03\x04.{26}[^/\0]{0,200}\.npy/s, "an archive of NumPy arrays"],
  [
    /^PK\x03\x04.{26}[^/]{0,400}\/(data\.pkl|\.format_version|byteorder|version)/s,
    "a PyTorch checkpoint",
    CONVERT,
  ],
  [/^PK\x03\x04.{26}(metadata\.json|config\.json|model\.weights\.h5)/s, "a Keras model"],
  [/^....TFL3/s, "a TensorFlow Lite model"],
  [/^\x08\x01\x12/, "a TensorFlow model"],
  [/^\x08[\x02-\x14]\x12[\x00-\x40][\x20-\x7e]/, "an ONNX model"],
  [/^\n[\x05-\x40]\n[\x01-\x3c](<|\xe2\x96\x81)/, "a SentencePiece model"],
  [/^\x80[\x02-\x05]/, "a Python pickle, as old PyTorch checkpoints are", CONVERT],
  [/^[\x81-\x8f][\xa3-\xbf][a-z_]{3}/, "a MessagePack file, as Flax writes"],
  [/^.{7}\0\{/s, "a safetensors file"],

  [/^PK[\x03\x05][\x04\x06]/, "a ZIP archive", UNPACK],
  [/^.{257}ustar/s, "a tar archive", UNPACK],
  [/^\x1f\x8b/, "a gzip archive", UNPACK],
  [/^7z\xbc\xaf'\x1c/, "a 7z archive", UNPACK],
  [/^Rar!\x1a\x07/, "a RAR archive", UNPACK],
  [/^\(\xb5\x2f\xfd/, "a zstd archive", UNPACK],
  [/^\xfd7zXZ\0/, "an xz archive", UNPACK],
  [/^BZh[1-9]1AY/, "a bzip2 archive", UNPACK],
  [/^\x04"M\x18/, "an LZ4 archive", UNPACK],
  [/^%PDF-/, "a PDF document"],

  [/^\x89PNG\r\n\x1a\n/, "a PNG image"],
  [/^\xff\xd8\xff/, "a JPEG image"],
  [/^RIFF....WEBP/s, "a WebP image"],
  [/^GIF8[79]a/, "a GIF image"],
  [/^BM.{4}\0{4}/s, "a BMP image"],
  [/^(II[*+]\0|MM\0[*+])/, "a TIFF or raw image"],
  [/^....ftyp(avif|avis)/s, "an AVIF image"],
  [/^....ftyp(hei|hev|mif1|msf1)/s, "an HEIC image"],
  [/^(\xff\n|\0{3}\x0cJXL )/, "a JPEG XL image"],
  [/^(\0{3}\x0cjP |\xff\x4f\xff\x51)/, "a JPEG 2000 image"],
  [/^8BPS/, "a Photoshop document"],
  [/^gimp xcf/, "a GIMP document"],
  [/^\0\0[\x01\x02]\0[^\0]\0/, "an icon"],
  [/^qoif/, "a QOI image"],
  [/^v\/1\x01/, "an OpenEXR image"],
  [/^#\?(RADIANCE|RGBE)/, "a Radiance image"],
  [/^P[1-7]\s/, "a PNM image"],
  [/^DDS /, "a DDS texture"],
  [/^....ftyp|^\x1aE\xdf\xa3|^RIFF....AVI /s, "a video"],
  [/^(RIFF....WAVE|ID3|OggS|fLaC)/s, "a sound"],
  [/^%!PS/, "a PostScript document"],
  [/^\x7fELF|^MZ.{58}..\0\0/s, "a program"],
];

/**
 * Recognises a file by its first bytes.
 *
 * @example
 * ```ts
 * import { recognise } from "@bitwise/infinity/engine";
 *
 * const bytes = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n");
 * console.log(`Cannot read "vae.safetensors": it is ${recognise(bytes)}`);
 * ```
 *
 * @param bytes The file, or at least its first 1024 bytes.
 * @param advice What to do about a file that is complete but of another kind, such as `"convert it to PNG"`.
 * @returns What follows "it is": a name and advice; null if the bytes are not known.
 */
export function recognise(bytes: Uint8Array, advice?: string): string | null {
  const head = String.fromCharCode(...bytes.subarray(0, HEAD));
  const [, name, own = advice] = KINDS.find(([looks]) => looks.test(head)) ?? [];
  if (name !== undefined) return own === undefined ? name : `${name}; ${own}`;
  return isText(head) ? `text that begins ${excerpt(head)}` : null;
}

/** Whether there is nothing but printable ASCII and white space, and a word of it. */
function isText(head: string): boolean {
  return /^[\x20-\x7e\s]+$/.test(head) && /[a-z]{3}/i.test(head);
}

function excerpt(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 59)}…` : line);
}
