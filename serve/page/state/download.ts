/// <reference lib="dom" />

import { fileName, type Picture } from "../data/picture.ts";

/** Saves a picture's PNG, which carries its parameters, where the browser puts downloads. */
export function download(picture: Picture): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(picture.image);
  link.download = fileName(picture);
  link.click();
  // the browser has begun by then
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
