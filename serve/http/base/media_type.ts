import { getMimeType } from "../../../deps/hono.ts";

/** The media type of a file, by the end of its name. */
export function mediaTypeOf(name: string): string {
  return getMimeType(name) ?? "application/octet-stream";
}
