import type { DecoderOptions } from "./webp.d.ts";
/** Makes the instance that later calls of {@link decode} use, in place of the last one. */
export function init(options: DecoderOptions): Promise<void>;
export default function decode(
  file: Uint8Array,
  options?: { preserveOrientation?: boolean },
): Promise<ImageData>;
