import { join } from "../../deps/@std/path.ts";
import { enlarge, type Pixels } from "../../model/image/enlarge.ts";
import { checkWritable, type Output, type Target } from "../io/output.ts";
import { makeFolder } from "../../model/checkpoint/files.ts";
import type { Step } from "../../model/generate/options.ts";

/** How long each scale of an animation is shown, and the finished image, in milliseconds. */
const SHOWN = 400;
const SHOWN_LAST = 2000;

/** Where previews go. */
interface PreviewGiven {
  /** The folder of single scales. */
  readonly preview?: string;
  /** The name of animations. */
  readonly animate?: string;
  /** The factor by which images are enlarged. */
  readonly upscale?: number;
}

/** Writes the image after each scale: one file per scale, an animation of all, or both. */
export class Previews {
  /** Files of single scales, written so far. */
  readonly files: string[] = [];
  /** Animations, written so far. */
  readonly animations: string[] = [];
  /** Frames of the images of this batch. */
  #frames: Pixels[][] = [];
  #scales = 0;

  private constructor(
    private readonly given: PreviewGiven,
    private readonly images: number,
    private readonly output: Output,
    private readonly targets: readonly Target[],
  ) {}

  /** Checks where to write; `null` if nothing is asked for. @throws {FileError} @throws {UsageError} */
  static async open(given: PreviewGiven, images: number, output: Output): Promise<Previews | null> {
    const { preview: folder, animate } = given;
    if (folder === undefined && animate === undefined) return null;
    if (folder !== undefined) {
      // a folder that does not exist is made with its first file
      const exists = await Deno.stat(folder).catch(() => null);
      await checkWritable(exists ? join(folder, "scale-01.png") : folder);
    }
    const targets = animate === undefined ? [] : await output.choose(animate, { count: images });
    return new Previews(given, images, output, targets);
  }

  /** Writes the images of a scale; those of the last scale are {@link Previews.finish}'s. */
  async show(step: Step, first: number): Promise<void> {
    this.#scales = step.scales;
    if (step.scale + 1 === step.scales) return;
    const images: Pixels[] = [];
    for (const i of step.bits.keys()) images.push(await step.image(i));
    await this.#add(step.scale, images, first);
  }

  /** Writes the finished images of a batch, and their animations. */
  async finish(images: readonly Pixels[], first: number): Promise<void> {
    await this.#add(this.#scales - 1, images, first);
    const { encodeApng } = await import("../../model/image/apng.ts");
    for (const [i, frames] of this.#frames.entries()) {
      const delays = frames.map((_, s) => s + 1 < frames.length ? SHOWN : SHOWN_LAST);
      const bytes = encodeApng(frames, delays);
      this.animations.push(await this.output.write(this.targets[first + i]!, bytes));
    }
    this.#frames = [];
  }

  async #add(scale: number, images: readonly Pixels[], first: number): Promise<void> {
    const { preview: folder, animate, upscale = 1 } = this.given;
    const shown = images.map((image) => enlarge(image, upscale));
    if (animate !== undefined) shown.forEach((image, i) => (this.#frames[i] ??= []).push(image));
    if (folder === undefined) return;
    await makeFolder(folder);
    const { encodePng } = await import("../../model/image/png.ts");
    const width = `${this.images}`.length;
    for (const [i, { rgba, width: across, height }] of shown.entries()) {
      const number = this.images > 1 ? `-${`${first + i + 1}`.padStart(width, "0")}` : "";
      const name = `scale-${`${scale + 1}`.padStart(2, "0")}${number}.png`;
      const target = await this.output.chooseOne(join(folder, name));
      this.files.push(await this.output.write(target, encodePng(rgba, across, height)));
    }
  }
}
