/** Rows of the losses, and of bits in training. */

import { drawStrengths } from "../../kernels/bits/draw_strengths.ts";
import { flipBits } from "../../kernels/bits/flip_bits.ts";
import { unitVectors } from "../../kernels/bits/unit_vectors.ts";
import { unitVectorsBackward } from "../../kernels/bits/unit_vectors_backward.ts";
import { bitCrossEntropy } from "../../kernels/losses/bit_cross_entropy.ts";
import { codeLosses } from "../../kernels/losses/code_losses.ts";
import { edgeWeights } from "../../kernels/losses/edge_weights.ts";
import { hingeLoss } from "../../kernels/losses/hinge_loss.ts";
import { pairDifference } from "../../kernels/losses/pair_difference.ts";
import { pairDifferenceBackward } from "../../kernels/losses/pair_difference_backward.ts";
import { reconstructionLoss } from "../../kernels/losses/reconstruction_loss.ts";
import type { Row } from "./row.ts";

/** Like the rows of kernels.ts. */
export const LOSS_ROWS: readonly Row[] = [
  {
    name: "bit_cross_entropy",
    shape: "16x521 tokens, 32 bits",
    setup(device, t) {
      const [delta, gradient, weights] = [t.f32(16, 521, 32), t.f32(16, 521, 32), t.f32(521)];
      const bits = t.u32([16, 521, 32], (i) => i & 1);
      const starts = t.u32([8], (i) => [0, 1, 5, 21, 57, 121, 265, 521][i]!);
      const stats = { starts, sums: { tensor: t.f32(8, 4), add: true } };
      const sent = { tensor: gradient, add: false };
      return {
        run: () => bitCrossEntropy(device, { delta, bits, weights, gradient: sent, stats }),
        bytes: delta.byteLength + bits.byteLength + gradient.byteLength,
      };
    },
  },
  {
    name: "pair_difference",
    shape: "64x2048",
    setup(device, t) {
      const [x, y] = [t.f32(64, 2048), t.f32(32, 2048)];
      return { run: () => pairDifference(device, { x, y }), bytes: x.byteLength + y.byteLength };
    },
  },
  {
    name: "pair_difference_backward",
    shape: "64x2048, added",
    setup(device, t) {
      const [dy, dx] = [t.f32(32, 2048), t.f32(64, 2048)];
      return {
        run: () => pairDifferenceBackward(device, { dy, dx: { tensor: dx, add: true } }),
        bytes: dy.byteLength + 2 * dx.byteLength,
      };
    },
  },
  {
    name: "draw_strengths",
    shape: "512 images, 7 scales",
    setup(device, t) {
      const y = t.f32(512, 7), random = { seed: 1, step: 2 };
      const args = { y, most: 0.3, hundredths: true, shared: false, random };
      return { run: () => drawStrengths(device, args), bytes: y.byteLength };
    },
  },
  {
    name: "flip_bits",
    shape: "16x256 tokens, 32 bits",
    setup(device, t) {
      const [x, y, strengths] = [t.u32([16, 521, 32]), t.u32([16, 256, 32]), t.f32(16, 7)];
      const flips = { strengths, scale: 6, random: { seed: 1, step: 2 } };
      return { run: () => flipBits(device, { x, first: 265, y, flips }), bytes: 2 * y.byteLength };
    },
  },
  {
    name: "unit_vectors",
    shape: "64x8x8x32",
    setup(device, t) {
      const [x, y] = [t.f32(4096, 32), t.f32(4096, 32)];
      return { run: () => unitVectors(device, { x, y }), bytes: 2 * x.byteLength };
    },
  },
  {
    name: "unit_vectors_backward",
    shape: "64x8x8x32",
    setup(device, t) {
      const [x, dy, dx] = [t.f32(4096, 32), t.f32(4096, 32), t.f32(4096, 32)];
      return {
        run: () => unitVectorsBackward(device, { x, dy, dx: { tensor: dx, add: false } }),
        bytes: 3 * x.byteLength,
      };
    },
  },
  {
    name: "code_losses",
    shape: "64x8x8x32",
    setup(device, t) {
      const [n, dn, stats] = [t.f32(4096, 32), t.f32(4096, 32), t.f32(4)];
      const gradient = { tensor: dn, add: false };
      const args = { n, vector: 1, codebook: 1, commitment: 1, gradient };
      return {
        run: () => codeLosses(device, { ...args, stats: { tensor: stats, add: false } }),
        bytes: 4 * n.byteLength,
      };
    },
  },
  {
    name: "edge_weights",
    shape: "16x128x128x3",
    setup(device, t) {
      const [x, y] = [t.f32(16, 128, 128, 3), t.f32(16, 128, 128)];
      return {
        run: () => edgeWeights(device, { x, y, amount: 2.5, gain: 1.5 }),
        bytes: x.byteLength + 3 * y.byteLength,
      };
    },
  },
  {
    name: "reconstruction_loss",
    shape: "16x128x128x3, all terms",
    setup(device, t) {
      const [x, y, dy] = [t.f32(16, 128, 128, 3), t.f32(16, 128, 128, 3), t.f32(16, 128, 128, 3)];
      const args = { x, y, weights: t.f32(16, 128, 128), l1: 1, l2: 2, edges: 0.6, pooled: 0.5 };
      const gradient = { tensor: dy, add: false }, stats = { tensor: t.f32(4), add: false };
      return {
        run: () => reconstructionLoss(device, { ...args, gradient, stats }),
        bytes: 3 * x.byteLength + args.weights.byteLength,
      };
    },
  },
  {
    name: "hinge_loss",
    shape: "16x14x14, real",
    setup(device, t) {
      const [x, dx, stats] = [t.f32(16, 14, 14), t.f32(16, 14, 14), t.f32(2)];
      const gradient = { tensor: dx, add: false };
      const args = { x, role: "real", gradient, stats: { tensor: stats, add: false } } as const;
      return { run: () => hingeLoss(device, args), bytes: 2 * x.byteLength };
    },
  },
];
