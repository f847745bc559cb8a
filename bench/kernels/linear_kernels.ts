/** Rows of the kernels of training in kernels/linear. */

import { columnSums } from "../../kernels/linear/column_sums.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { matmulBackward } from "../../kernels/linear/matmul_backward.ts";
import { packOperand } from "../../kernels/linear/operand.ts";
import { transpose } from "../../kernels/linear/transpose.ts";
import type { Row } from "./row.ts";

/** A product by a weight that the step before has changed. */
function forwardRow(M: number, K: number, N: number): Row {
  return {
    name: "matmul",
    shape: `${M}x${K}x${N}, and packing`,
    setup(device, t) {
      const [x, weight, y] = [t.f32(M, K), t.f32(N, K), t.f32(M, N)];
      return {
        run() {
          using linear = packOperand(device, [weight], { transposed: true });
          matmul(device, { x, linear, y });
        },
        flops: 2 * M * K * N,
      };
    },
  };
}

/** All gradients of that product. */
function backwardRow(M: number, K: number, N: number): Row {
  return {
    name: "matmul_backward",
    shape: `${M}x${K}x${N}`,
    setup(device, t) {
      const [x, weight, dy] = [t.f32(M, K), t.f32(N, K), t.f32(M, N)];
      const [dx, dw, db] = [t.f32(M, K), t.f32(N, K), t.f32(N)];
      return {
        run() {
          matmulBackward(device, {
            x,
            weights: [weight],
            dy,
            dx: { tensor: dx, add: false },
            dweights: [{ tensor: dw, add: true }],
            dbiases: [{ tensor: db, add: true }],
          });
        },
        flops: 4 * M * K * N,
      };
    },
  };
}

/** Products beside the rows of packed weights in kernels.ts; 1920 rows are emoji-nano's, in a batch of 16. */
export const LINEAR_ROWS: readonly Row[] = [
  ...([[1024, 1024, 1024], [1920, 256, 1024], [1920, 1024, 256]] as const)
    .flatMap(([M, K, N]) => [forwardRow(M, K, N), backwardRow(M, K, N)]),
  {
    name: "column_sums",
    shape: "1920x1024",
    setup(device, t) {
      const [x, y] = [t.f32(1920, 1024), t.f32(1024)];
      return {
        run: () => columnSums(device, { x, y: { tensor: y, add: true } }),
        bytes: x.byteLength + 2 * y.byteLength,
      };
    },
  },
  {
    name: "transpose",
    shape: "1920x1024",
    setup(device, t) {
      const [x, y] = [t.f32(1920, 1024), t.f32(1024, 1920)];
      return { run: () => transpose(device, { x, y }), bytes: 2 * x.byteLength };
    },
  },
];
