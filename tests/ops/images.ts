/** Cases of kernels/images. */

import { composeScenes } from "../../kernels/images/compose_scenes.ts";
import { packScenes, type PlacedScene, type Rgb } from "../../kernels/images/scene_layout.ts";
import * as reference from "../kernels/images/references.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { type Op, plain } from "./op.ts";

export const IMAGES: readonly Op[] = [plain("compose_scenes", "f32", "f32", composed)];

const between = (draw: Draw, least: number, most: number) =>
  Math.fround(least + draw.next() * (most - least));

const colour = (draw: Draw): Rgb =>
  [draw.next(), draw.next(), draw.next()].map(Math.fround) as unknown as Rgb;

/** A scene of anything at any place, from `count` sprites of `side` x `side` texels. */
export function anyScene(draw: Draw, side: number, count: number): PlacedScene {
  const list = <T>(most: number, make: () => T) => Array.from({ length: draw.int(0, most) }, make);
  const pair = (): [Rgb, Rgb] => [colour(draw), colour(draw)];
  const horizon = draw.of([2, between(draw, 0.3, 0.8)]);
  return {
    colours: [pair(), pair(), pair()],
    horizon,
    shore: Math.fround(horizon + draw.of([0, 0.2])),
    dots: list(5, () => ({
      x: between(draw, 0, 1),
      y: between(draw, 0, 1),
      radius: between(draw, 0, 0.1),
      strength: between(draw, -1, 1),
    })),
    sprites: list(4, () => {
      const row = () =>
        [
          between(draw, -2, 2) * side,
          between(draw, -2, 2) * side,
          between(draw, -1, 1) * side,
        ].map(Math.fround);
      return {
        first: draw.int(0, count - 1) * side * side,
        side,
        matrix: [row(), row()] as const,
        recolour: draw.of([null, { colour: colour(draw), lightness: between(draw, 0.05, 1) }]),
        shadow: {
          centre: [between(draw, 0, 1), between(draw, 0, 1)] as const,
          radii: [between(draw, 0.1, 0.5), between(draw, 0.1, 0.5)] as const,
          strength: between(draw, 0, 0.5),
        },
      };
    }),
  };
}

/** `count` sprites of noise. */
export function anyTexels(draw: Draw, side: number, count: number): reference.Texels {
  const texels = side * side * count;
  return {
    rgba: Uint8Array.from({ length: 4 * texels }, () => draw.int(0, 255)),
    shares: Uint8Array.from({ length: Math.ceil(texels / 4) * 4 }, () => draw.int(0, 255)),
  };
}

function composed(draw: Draw) {
  const S = draw.size(24), B = draw.size(Math.ceil(600 / (S * S)), 4);
  const side = draw.int(1, 6), count = draw.int(1, 3);
  const texels = anyTexels(draw, side, count);
  const scenes = Array.from({ length: B }, () => anyScene(draw, side, count));
  const packed = packScenes(scenes);
  const y = poisoned("f32", [B, S, S, 3]);
  composeScenes(device, {
    scenes: upload("u32", [packed.length], packed),
    texels: upload("u32", [side * side * count], new Uint32Array(texels.rgba.buffer)),
    shares: upload("u32", [texels.shares.length / 4], new Uint32Array(texels.shares.buffer)),
    y,
  });
  return {
    shape: `[${B}, ${S}, ${S}], sprites of ${side}`,
    outputs: [{ tensor: y, expected: reference.composeScenes(scenes, texels, S) }],
  };
}
