import type { Device, Tensor } from "../../../../engine/mod.ts";
import { composeScenes } from "../../../../kernels/images/compose_scenes.ts";
import {
  packScenes,
  type PlacedScene,
  type SceneSprite,
} from "../../../../kernels/images/scene_layout.ts";
import { PALETTE } from "./palette.ts";
import type { Scene, SceneObject } from "./scene.ts";
import { levelOf, LEVELS, type SpriteSet, texelsOf } from "./sprites.ts";

/** A sprite's longer side as a share of its tile. */
const FILLED = 120 / 128;
/** How dark a shadow is. */
const SHADOW = 0.3;

/** Composes scenes on the device, where it keeps the sprites. */
export class SceneComposer {
  readonly #texels: Tensor;
  readonly #shares: Tensor;

  /**
   * Uploads the sprites.
   *
   * @throws {OutOfMemoryError} The sprites do not fit: 27 bytes for each texel of a tile.
   */
  constructor(private readonly device: Device, private readonly set: SpriteSet) {
    const words = (bytes: Uint8Array<ArrayBuffer>) => new Uint32Array(bytes.buffer);
    [this.#texels, this.#shares] = device.allOrNothing(() =>
      [set.rgba, set.shares].map((bytes) =>
        device.from("u32", [bytes.length / 4], words(bytes), "sprites")
      ) as [Tensor, Tensor]
    );
  }

  /** Makes images [B, size, size, 3] f32, from −1 to 1, of which the caller disposes. */
  compose(scenes: readonly Scene[], size: number): Tensor {
    const { device } = this;
    const packed = packScenes(scenes.map((scene) => this.#place(scene, size)));
    const parameters = device.from("u32", [packed.length], packed, "scenes");
    const y = device.tensor("f32", [scenes.length, size, size, 3], "images");
    composeScenes(device, { scenes: parameters, texels: this.#texels, shares: this.#shares, y });
    parameters.dispose();
    return y;
  }

  #place({ background, objects }: Scene, size: number): PlacedScene {
    const sprites = objects.map((object) => this.#sprite(object, background.grounded, size));
    return { ...background, sprites };
  }

  #sprite(object: SceneObject, grounded: boolean, pixels: number): SceneSprite {
    const { sprites, tile } = this.set;
    const { sprite, colour, x, y, size, turn, mirrored } = object;
    const { lightness, colour: natural } = sprites[sprite]!;
    const across = size / FILLED; // of the tile, in images
    // the level whose texels are about as large as pixels
    const wanted = Math.round(0.15 - Math.log2(across * pixels / tile));
    const { offset, side } = levelOf(tile, Math.min(LEVELS - 1, Math.max(0, wanted)));
    const [c, s] = [Math.cos(turn) * side / across, Math.sin(turn) * side / across];
    const flip = mirrored ? -1 : 1;
    const row = (a: number, b: number) => [a, b, side / 2 - a * x - b * y];
    return {
      first: sprite * texelsOf(tile) + offset,
      side,
      matrix: [row(flip * c, flip * s), row(-s, c)],
      recolour: colour === null || colour === natural
        ? null
        : { colour: PALETTE[colour]!.rgb, lightness: Math.max(0.05, lightness) },
      shadow: {
        centre: [x, y + 0.47 * size],
        radii: [0.4 * size, 0.055 * size + 0.012],
        strength: grounded ? SHADOW : 0,
      },
    };
  }

  /** Frees the sprites. */
  dispose(): void {
    this.#texels.dispose();
    this.#shares.dispose();
  }

  /** Calls {@link SceneComposer.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
