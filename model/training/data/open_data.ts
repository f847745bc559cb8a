import type { Device } from "../../../engine/mod.ts";
import { InputError } from "../../../engine/mod.ts";
import type { DataSource } from "./base/source.ts";
import { type ImageOptions, openImages } from "./files/open_images.ts";
import { SceneSource } from "./scenes/scene_source.ts";

/** Where images and captions are, or what they are composed of. */
export interface DataOptions extends Omit<ImageOptions, "kind"> {
  /** As {@link ImageOptions.kind}, or `scenes`, which are composed of the sprites in the folder. */
  readonly kind: ImageOptions["kind"] | "scenes";
}

/**
 * Opens a source of images and captions.
 *
 * @throws {FileError} A file is missing or damaged, or there is nothing to train on.
 * @throws {InputError} `bad-value`: scenes are square and have one size.
 */
export async function openData(device: Device, options: DataOptions): Promise<DataSource> {
  const { kind } = options;
  if (kind !== "scenes") return await openImages(device, { ...options, kind });
  const { path, seed, which, sizes: [{ width, height } = { width: 0, height: 0 }, ...more] } =
    options;
  if (width !== height || width === 0 || more.length > 0) {
    throw new InputError("bad-value", "Cannot compose scenes: they are square and have one size");
  }
  return await SceneSource.open(device, path, { size: width, seed, which });
}
