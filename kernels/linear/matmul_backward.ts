import { type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { columnSums } from "./column_sums.ts";
import { matmul } from "./matmul.ts";
import { matmulDeep } from "./matmul_deep.ts";
import { packOperand } from "./operand.ts";
import { transpose } from "./transpose.ts";
import type { FloatType } from "./weight_types.ts";

/**
 * Bytes of a transposed or packed factor of `dweights` at most, by class: more rows are multiplied piece by piece. A CPU
 * transposes thrice as fast what its caches hold; a GPU needs long sums, which it shares.
 */
const MOST_BYTES = { cpu: 8 << 20, gpu: 256 << 20 } as const;

/** Fewest rows of a piece, since each adds to the gradient. */
const LEAST_ROWS = 1024;

/** Most rows, by class: a row of a texture holds as many. */
const MOST_ROWS = { cpu: 65536, gpu: Infinity } as const;

/** Rows of pieces are multiples of it: then they begin where a binding may, also as f16. */
const PIECE = 128;

/** Arguments of {@link matmulBackward}. */
export interface MatmulBackwardArgs {
  /** [M, K] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** [Nᵢ, K] f32 or f16, stacked along N. All Nᵢ but the last are divisible by 4. */
  readonly weights: readonly Tensor[];
  /** Gradient by y, [M, N] f32 or f16. */
  readonly dy: Tensor;
  /** Gradient by x, f32 or f16; null if it is not wanted. */
  readonly dx: Gradient | null;
  /** Gradients by the weights, f32; null where one is not wanted. */
  readonly dweights: readonly (Gradient | null)[];
  /** Gradients by vectors f32 that make the bias one after the other; those not wanted are given by their lengths. */
  readonly dbiases: readonly (Gradient | number)[];
  /** Factor of the product, but not of the bias; 1 if absent. */
  readonly scale?: number | undefined;
  /** What factors are rounded to: that of the forward product; f32 if absent. */
  readonly dtype?: FloatType | undefined;
  /** Rows of x to multiply at a time for `dweights`, a multiple of 128; by their memory if absent. Tests set it. */
  readonly piece?: number;
}

/**
 * The gradients of y = s · x · Wᵀ + b: dx = s · dy · W by {@link matmul}, dW = s · dyᵀ · x by {@link matmulDeep},
 * db = Σ dy over rows.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function matmulBackward(device: Device, args: MatmulBackwardArgs): void {
  const { x, weights, dy, dx, dweights, dbiases, scale, dtype } = args;
  const K = weights[0]?.shape[1] ?? 0;
  const N = weights.reduce((sum, weight) => sum + weight.shape[0]!, 0);
  const M = x.elements / K;
  const lengths = dbiases.map((to) => typeof to === "number" ? to : to.tensor.elements);
  if (
    M % 1 || dy.elements !== M * N || dweights.length !== weights.length ||
    dweights.some((to, i) => to && to.tensor.elements !== weights[i]!.elements) ||
    (dbiases.length > 0 && lengths.reduce((sum, n) => sum + n, 0) !== N) ||
    (dx && dx.tensor.elements !== x.elements)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back through a product of [${x.shape}] and ` +
        `${weights.map(({ shape }) => `[${shape}]`)}`,
    );
  }
  if (dx) {
    using linear = packOperand(device, weights, { transposed: false, scale, dtype });
    const { tensor: y, add } = dx;
    const epilogue = add ? "add" : "none";
    matmul(device, { x: dy.reshape(M, N), linear, y, epilogue, overflow: "infinity" });
  }
  weightGradients(device, { ...args, x: x.reshape(M, K), dy: dy.reshape(M, N) });
  let first = 0;
  dbiases.forEach((to, i) => {
    const columns = lengths[i]!;
    if (typeof to !== "number") columnSums(device, { x: dy.reshape(M, N), y: to, columns, first });
    first += columns;
  });
}

/** Rows of equal pieces of M rows, of which a factor has `widest` elements each. */
function pieceOf(device: Device, M: number, widest: number): number {
  const { capabilities, gpu } = device;
  const fit = gpu.limits.maxStorageBufferBindingSize / (8 * widest); // with padding
  const most = Math.min(
    MOST_ROWS[capabilities.class],
    fit,
    Math.max(LEAST_ROWS, MOST_BYTES[capabilities.class] / (4 * widest)),
  );
  return Math.ceil(M / Math.ceil(M / most) / PIECE) * PIECE;
}

/** dW = dyᵀ · x, in pieces of their common axis. */
function weightGradients(device: Device, args: MatmulBackwardArgs): void {
  const { x, weights, dy, dweights, scale, dtype = "f32" } = args;
  const [M = 0, K = 0] = x.shape;
  if (dweights.every((to) => !to)) return;
  const { piece = pieceOf(device, M, Math.max(K, ...weights.map(({ shape }) => shape[0]!))) } =
    args;
  for (let first = 0; first < M; first += piece) {
    const rows = Math.min(piece, M - first);
    const depth = Math.ceil(rows / 4) * 4; // padded with zeros, so that rows of dyᵀ are whole vec4s
    using factor = packOperand(device, [x.rows(first, rows)], { transposed: false, dtype });
    let column = 0;
    weights.forEach(({ shape: [N = 0] }, i) => {
      const to = dweights[i];
      if (to) {
        using turned = device.tensor(dtype, [N, depth], "transposed gradient");
        transpose(device, { x: dy.rows(first, rows), y: turned, first: column, scale });
        const epilogue = to.add || first > 0 ? "add" : "none";
        matmulDeep(device, { x: turned, linear: { ...factor, K: depth }, y: to.tensor, epilogue });
      }
      column += N;
    });
  }
}
