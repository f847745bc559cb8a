import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { fill } from "../elementwise/fill.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./embedding_backward.wgsl" with { type: "text" };
import type { Lookups } from "./lookups.ts";

const kernel = defineKernel("embedding_backward", source, ["entries", "positions", "x", "y"], [
  "count",
  "columns",
]);

const prelude = memoised((dtype: string, per: 1 | 4) => gradientLines(dtype, per));

/** Arguments of {@link embeddingBackward}. */
export interface EmbeddingBackwardArgs {
  /** Gradient of the rows that were looked up, [T, C] f32 or f16. */
  readonly dy: Tensor;
  /** Which they were. */
  readonly lookups: Lookups;
  /** Gradient of the table, [V, C] f32 or f16; nothing is done if null. */
  readonly dtable: Gradient | null;
}

/**
 * dtable[v] = Σ dy[t] over all t that looked up row v, in their order: the gradient of `embedding`. Rows that nobody
 * looked up are not touched if it is added, and zeros otherwise.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function embeddingBackward(
  device: Device,
  { dy, lookups, dtable }: EmbeddingBackwardArgs,
): void {
  if (!dtable) return;
  const { tensor, add } = dtable;
  const { first, second, rows, length } = lookups;
  const C = dy.elements / length;
  if (C % 1 || tensor.elements !== rows * C) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back to ${length} rows of [${tensor.shape}]`,
    );
  }
  if (!add) fill(device, tensor, 0);
  const table = { C, y: tensor, add: true };
  if (!second) return sum(device, { ...first, x: dy, positions: lookups.positions, ...table });
  using parts = device.tensor("f32", [first.count, C], "parts of sums");
  sum(device, { ...first, x: dy, positions: lookups.positions, C, y: parts, add: false });
  sum(device, { ...second, x: parts, positions: null, ...table });
}

/** One step of the sums. */
interface Step {
  readonly entries: Tensor;
  readonly count: number;
  readonly x: Tensor;
  /** Rows of x; those from begin to end themselves if null. */
  readonly positions: Tensor | null;
  readonly C: number;
  readonly y: Tensor;
  readonly add: boolean;
}

function sum(device: Device, { entries, count, x, positions, C, y, add }: Step): void {
  const { per, type } = vectorsOf(C);
  const { WG, workgroups } = spread(device, count * C / per);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      LISTED: positions !== null,
      X: type(x.dtype),
      Y: type(y.dtype),
      V: type("f32"),
    },
    functions: prelude(y.dtype, per),
    bind: { entries, positions, x, y },
    params: { count: count * C / per, columns: C / per },
    workgroups,
  });
}
