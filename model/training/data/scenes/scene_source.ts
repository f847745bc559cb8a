import type { Device } from "../../../../engine/mod.ts";
import { Draws, STREAMS } from "../draws.ts";
import type { Batch, DataSource, Size } from "../source.ts";
import { SceneComposer } from "./composer.ts";
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
  /** Use so many sprites of those that people often speak of; all if absent. */
  readonly sprites?: number;
}

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
  ) {
    this.sizes = [{ width: size, height: size }];
  }

  /**
   * Opens a folder of sprites.
   *
   * @throws {FileError} A file is missing or damaged.
   * @throws {OutOfMemoryError} The sprites do not fit.
   */
  static async open(
    device: Device,
    folder: string | URL,
    options: SceneOptions,
  ): Promise<SceneSource> {
    const { size, seed = 0n, sprites } = options;
    const set = await openSprites(folder, sprites);
    const rules = new SceneRules(set.sprites, set.heldOut);
    return new SceneSource(rules, new SceneComposer(device, set), size, seed);
  }

  /** The scenes of a batch. */
  scenes(step: number, count: number): Scene[] {
    return Array.from(
      { length: count },
      (_, i) => drawScene(this.rules, new Draws(this.seed, STREAMS.scenes, step, i)),
    );
  }

  batch(step: number, count: number): Promise<Batch> {
    const scenes = this.scenes(step, count);
    const images = this.composer.compose(scenes, this.size);
    return Promise.resolve({ images, captions: scenes.map(({ caption }) => caption) });
  }

  dispose(): void {
    this.composer.dispose();
  }

  /** Calls {@link SceneSource.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
