import { type Device, InputError } from "../../../engine/mod.ts";
import { checkOptions, SIZES } from "./base/check.ts";
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
  checkOptions(options, { sizes: SIZES });
  if (kind !== "scenes") return await openImages(device, { ...options, kind });
  const { path, seed, which, sizes } = options;
  const { width, height } = sizes[0]!;
  if (width !== height || sizes.length > 1) {
    throw new InputError("bad-value", "Cannot compose scenes: they are square and have one size");
  }
  return await SceneSource.open(device, path, { size: width, seed, which });
}
