/** Rows of the kernels that only training runs: backward passes, losses, the optimiser. */

import { resampleBackward } from "../../kernels/bits/resample_backward.ts";
import { conv2dBackward } from "../../kernels/conv/conv2d_backward.ts";
import { accumulate } from "../../kernels/elementwise/accumulate.ts";
import { IMAGE_ROWS } from "./image_kernels.ts";
import { ATTENTION_ROWS } from "./attention_kernels.ts";
import type { Row } from "./row.ts";
import { LINEAR_ROWS } from "./linear_kernels.ts";
import { NORM_ROWS } from "./norm_kernels.ts";
import { LOSS_ROWS } from "./loss_kernels.ts";
import { OPTIMISER_ROWS } from "./optimiser_kernels.ts";

/** Like the rows of kernels.ts; a backward pass beside the shapes of its forward pass there. */
export const TRAINING_ROWS: readonly Row[] = [
  ...([
    ["", 64, 64, {}],
    [", doubled", 32, 64, { upsample: true }],
    [", halved", 64, 32, { stride: 2, padding: "after" }],
  ] as const).flatMap(([name, size, made, how]) =>
    (["dx", "dweight"] as const).map((only): Row => ({
      name: "conv2d_backward",
      shape: `${only}, 3x3 64 to 64, ${size}x${size}${name}`,
      setup(device, t) {
        const [x, dy] = [t.f32(1, size, size, 64), t.f32(1, made, made, 64)];
        const weight = t.f32(64, 64, 3, 3);
        const gradient = { tensor: t.f32(...only === "dx" ? x.shape : weight.shape), add: true };
        const args = { x, weight, dy, dx: null, dweight: null, dbias: null, [only]: gradient };
        return {
          run: () => conv2dBackward(device, { ...args, ...how }),
          flops: 2 * made * made * 64 * 64 * 9,
        };
      },
    }))
  ),
  ...LINEAR_ROWS,
  ...NORM_ROWS,
  ...LOSS_ROWS,
  ...ATTENTION_ROWS,
  ...OPTIMISER_ROWS,
  ...IMAGE_ROWS,
  {
    name: "resample_backward",
    shape: "linear, 16 of 64x64x32 to 16x16",
    setup(device, t) {
      const [dy, dx] = [t.f32(16, 64, 64, 32), t.f32(16, 16, 16, 32)];
      return {
        run: () => resampleBackward(device, { dy, dx: { tensor: dx, add: false }, mode: "linear" }),
        bytes: dy.byteLength + dx.byteLength,
      };
    },
  },
  {
    name: "accumulate",
    shape: "4M, added",
    setup(device, t) {
      const [x, y] = [t.f32(2 ** 22), t.f32(2 ** 22)];
      return {
        run: () => accumulate(device, x, { tensor: y, add: true }),
        bytes: 3 * x.byteLength,
      };
    },
  },
];
