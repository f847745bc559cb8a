/** Rows of the kernels that make training images. */

import { composeScenes } from "../../kernels/images/compose_scenes.ts";
import { packScenes, type PlacedScene } from "../../kernels/images/scene_layout.ts";
import type { Row } from "./row.ts";

/** Two sprites beside each other on the ground. */
const SCENE: PlacedScene = {
  colours: [[[0.4, 0.7, 1], [0.8, 0.9, 1]], [[0, 0, 1], [0, 0, 1]], [[0, 1, 0], [0, 0.5, 0]]],
  horizon: 0.6,
  shore: 0.6,
  dots: [],
  sprites: [0.25, 0.75].map((x) => ({
    first: 0,
    side: 128,
    matrix: [[256, 0, 64 - 256 * x], [0, 256, -64]],
    recolour: { colour: [1, 0, 0], lightness: 0.5 },
    shadow: { centre: [x, 0.7], radii: [0.2, 0.04], strength: 0.3 },
  })),
};

/** What is written counts as work. */
export const IMAGE_ROWS: readonly Row[] = [
  {
    name: "compose_scenes",
    shape: "64 scenes of two sprites, 128x128",
    setup(device, t) {
      const [B, S, side] = [64, 128, 128];
      const texels = t.u32([side * side], () => 0x80ff8040);
      const shares = t.u32([side * side / 4], () => 0x80808080);
      const packed = packScenes(Array.from({ length: B }, () => SCENE));
      const scenes = t.u32([packed.length], (i) => packed[i]!);
      const y = t.f32(B, S, S, 3);
      return {
        run: () => composeScenes(device, { scenes, texels, shares, y }),
        bytes: y.byteLength,
      };
    },
  },
];
