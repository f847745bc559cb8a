import { type Device, FileError, quote } from "../../../../engine/mod.ts";
import { atLeast, checkBatch, checkOptions, oneOf, SEED } from "../base/check.ts";
import { Draws, STREAMS } from "../base/draws.ts";
import type { Batch, DataSource, Size, Which } from "../base/source.ts";
import { SceneComposer } from "./composer.ts";
import { HeldOut } from "./held_out.ts";
import { heldOutColour, heldOutPair } from "./held_out_scenes.ts";
import { drawScene } from "./layout.ts";
import { SceneRules } from "./rules.ts";
import type { Scene } from "./scene.ts";
import { openSprites } from "./sprites.ts";

/** How scenes are composed. */
export interface SceneOptions {
  /** Pixels across and down. */
  readonly size: number;
  /** The same seed makes the same scenes; 0 if absent. */
  readonly seed?: bigint;
  /**
   * "training" never shows what is held out, "measuring" shows held-out colours and pairs alone, in turn, and "all" holds
   * nothing out; "training" if absent.
   */
  readonly which?: Which;
  /** Use so many sprites of those that people often speak of; all if absent. */
  readonly sprites?: number;
}

const RULES = {
  size: atLeast(1, 4096),
  seed: SEED,
  which: oneOf("training", "measuring", "all"),
  sprites: atLeast(1),
};

/** Scenes that are composed of sprites as they are asked for: none is seen twice. */
export class SceneSource implements DataSource {
  readonly sizes: readonly [Size];
  readonly count = null;

  private constructor(
    /** Which sprites and colours there are, and which combinations are held out. */
    readonly rules: SceneRules,
    /** Makes images of scenes. */
    readonly composer: SceneComposer,
    private readonly size: number,
    private readonly seed: bigint,
    private readonly which: Which,
  ) {
    this.sizes = [{ width: size, height: size }];
  }

  /**
   * Opens a folder of sprites.
   *
   * @throws {FileError} A file is missing or damaged.
   * @throws {InputError} `bad-value`: an option is out of range, or has another type.
   * @throws {OutOfMemoryError} The sprites do not fit.
   */
  static async open(
    device: Device,
    folder: string | URL,
    options: SceneOptions,
  ): Promise<SceneSource> {
    checkOptions(options, RULES);
    const { size, seed = 0n, which = "training", sprites } = options;
    const set = await openSprites(folder, sprites);
    const heldOut = which === "all" ? new HeldOut([], []) : set.heldOut;
    const rules = new SceneRules(set.sprites, heldOut);
    if (which === "measuring" && !(rules.heldOutColours.possible && rules.heldOutPairs.possible)) {
      const message = `Cannot measure on ${
        quote(`${folder}`)
      }: its held_out.json holds nothing out`;
      throw new FileError("empty-set", message);
    }
    return new SceneSource(rules, new SceneComposer(device, set), size, seed, which);
  }

  /** The scenes of a batch. */
  scenes(step: number, count: number): Scene[] {
    return Array.from({ length: count }, (_, i) => {
      const draws = new Draws(this.seed, STREAMS.scenes, step, i);
      if (this.which !== "measuring") return drawScene(this.rules, draws);
      return i % 2 ? heldOutPair(this.rules, draws) : heldOutColour(this.rules, draws);
    });
  }

  // deno-lint-ignore require-await -- so that it rejects
  async batch(step: number, count: number): Promise<Batch> {
    checkBatch(step, count);
    const scenes = this.scenes(step, count);
    const images = this.composer.compose(scenes, this.size);
    return { images, captions: scenes.map(({ caption }) => caption) };
  }

  dispose(): void {
    this.composer.dispose();
  }

  /** Calls {@link SceneSource.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
