/** The type of a bits file. */
export const BITS = "application/octet-stream";

/** Whether a file is a bits file. */
export function isBits(file: Blob | undefined): boolean {
  return file?.type === BITS;
}

/** Makes a blob of base64. */
export function fromBase64(text: string, type: string): Blob {
  const characters = atob(text);
  return new Blob([Uint8Array.from(characters, (character) => character.charCodeAt(0))], { type });
}

/** A name that is unique, also where a page on plain HTTP has no `crypto.randomUUID`. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random seed that JSON numbers hold exactly, in decimal digits. */
export function newSeed(): string {
  return `${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}

/** The bytes of a file in base64. */
export async function toBase64(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let characters = "";
  // as arguments, more bytes than this may not fit the stack
  for (let at = 0; at < bytes.length; at += 8192) {
    characters += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(characters);
}
