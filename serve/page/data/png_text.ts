const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Bytes of the signature and the header. */
const AFTER_HEADER = 33;

/** Bytes of text that are read at most. */
const MAX_TEXT = 1 << 20;

/**
 * Reads the `parameters` text of a PNG, as image generators write it. Damage ends the search without an error.
 *
 * @returns The text, or null if there is none or the file is not a PNG.
 */
export async function readParametersText(file: Blob): Promise<string | null> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) return null;
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 8 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = latin1(bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (data.length < length) return null;
    const text = data.length <= MAX_TEXT ? await textOf(type, data) : null;
    if (text?.keyword === "parameters") return text.value;
    at += length + 12;
  }
  return null;
}

/** The keyword and the text of a chunk, if it has one. */
async function textOf(
  type: string,
  data: Uint8Array<ArrayBuffer>,
): Promise<{ keyword: string; value: string } | null> {
  const [keyword, rest] = cut(data);
  if (type === "tEXt") return { keyword, value: latin1(rest) };
  if (type === "zTXt") return { keyword, value: latin1(await inflate(rest.subarray(1))) };
  if (type !== "iTXt") return null;
  // after the compression flag and method, a language tag and a translated keyword
  const body = cut(cut(rest.subarray(2))[1])[1];
  const utf8 = rest[0] === 1 ? await inflate(body) : body;
  return { keyword, value: new TextDecoder().decode(utf8) };
}

/** Splits bytes at the first zero. */
function cut(bytes: Uint8Array<ArrayBuffer>): [string, Uint8Array<ArrayBuffer>] {
  const end = bytes.indexOf(0);
  if (end < 0) return ["", bytes.subarray(bytes.length)];
  return [latin1(bytes.subarray(0, end)), bytes.subarray(end + 1)];
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** Inflates text, as far as the limit; damaged data is empty. */
async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
    .getReader();
  try {
    for (let size = 0; size <= MAX_TEXT;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
    }
    await reader.cancel();
  } catch {
    return new Uint8Array();
  }
  return new Uint8Array(await new Blob(parts).slice(0, MAX_TEXT).arrayBuffer());
}

/** Adds the `parameters` text to a PNG that has none. */
export function writeParametersText(png: Blob, parameters: string): Blob {
  const text = new TextEncoder().encode(`iTXtparameters\0\0\0\0\0${parameters}`);
  const chunk = new Uint8Array(text.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, text.length - 4);
  chunk.set(text, 4);
  view.setUint32(text.length + 4, crc32(text));
  return new Blob([png.slice(0, AFTER_HEADER), chunk, png.slice(AFTER_HEADER)], {
    type: "image/png",
  });
}

/** The checksum of PNG, bit by bit: texts are short. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
