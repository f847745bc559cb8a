import { createHash } from "node:crypto";

/** Returns SHA-256 of parts in a row, in hexadecimal digits. */
export function sha256(parts: Iterable<Uint8Array | Float32Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
