import { join } from "../../deps/@std/path.ts";
import type { Io } from "./io.ts";
import { checkWritable, outputPaths } from "./output.ts";
import { writeFileAtomic } from "../../model/checkpoint/files.ts";
import type { Step } from "../../model/generate/options.ts";
import type { DecodedImage } from "../../model/generate/decoded_image.ts";

/** How long each scale of an animation is shown, and the finished image, in milliseconds. */
const SHOWN = 400;
const SHOWN_LAST = 2000;

/** Writes the image after each scale: one file a scale, an animation of all, or both. */
export class Previews {
  /** Files of single scales, written so far. */
  readonly files: string[] = [];
  /** Frames of each image. */
  #frames: DecodedImage[][] = [];
  #scales = 0;

  private constructor(
    private readonly folder: string | undefined,
    /** Animations, one for each image; written at the end. */
    readonly animations: readonly string[],
    private readonly signal: AbortSignal,
  ) {}

  /** Checks where to write; `null` if nothing is asked for. @throws {FileError} @throws {UsageError} */
  static async open(
    folder: string | undefined,
    animate: string | undefined,
    images: number,
    { signal }: Io,
  ): Promise<Previews | null> {
    if (folder === undefined && animate === undefined) return null;
    if (folder !== undefined) {
      // a folder that is not there is made with its first file
      const there = await Deno.stat(folder).catch(() => null);
      await checkWritable(there ? join(folder, "scale-01.png") : folder);
    }
    return new Previews(folder, animate === undefined ? [] : outputPaths(animate, images), signal);
  }

  /** Writes the images of a scale; those of the last are {@link Previews.finish}'s. */
  async show(step: Step): Promise<void> {
    this.#scales = step.scales;
    if (step.scale + 1 === step.scales) return;
    const images: DecodedImage[] = [];
    for (const i of step.bits.keys()) images.push(await step.image(i));
    await this.#add(step.scale, images);
  }

  /** Writes the finished images, and the animations. */
  async finish(images: readonly DecodedImage[]): Promise<void> {
    await this.#add(this.#scales - 1, images);
    const { encodeApng } = await import("../../model/image/apng.ts");
    for (const [i, file] of this.animations.entries()) {
      const frames = this.#frames[i]!;
      const delays = frames.map((_, s) => s + 1 < frames.length ? SHOWN : SHOWN_LAST);
      await writeFileAtomic(file, encodeApng(frames, delays), { signal: this.signal });
    }
  }

  async #add(scale: number, images: readonly DecodedImage[]): Promise<void> {
    if (this.animations.length) {
      images.forEach((image, i) => (this.#frames[i] ??= []).push(image));
    }
    if (this.folder === undefined) return;
    await Deno.mkdir(this.folder).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    const name = join(this.folder, `scale-${`${scale + 1}`.padStart(2, "0")}.png`);
    for (const [i, file] of outputPaths(name, images.length).entries()) {
      await writeFileAtomic(file, images[i]!.toPng(), { signal: this.signal });
      this.files.push(file);
    }
  }
}
