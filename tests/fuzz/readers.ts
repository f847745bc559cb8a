import { runCases } from "./child.ts";
import type { Reader } from "./reader.ts";
import { jpeg, webp } from "./readers/coded.ts";
import { png, pngBytes, pngText } from "./readers/png.ts";

/** Everything that reads foreign bytes or text. */
export const READERS: Readonly<Record<string, Reader>> = {
  png,
  "png-bytes": pngBytes,
  "png-text": pngText,
  jpeg,
  webp,
};

if (import.meta.main) await runCases(READERS);
