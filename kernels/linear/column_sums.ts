import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import source from "./column_sums.wgsl" with { type: "text" };

const kernel = defineKernel("column_sums", source, ["x", "z", "y"], [
  "count",
  "columns",
  "rows",
  "parts",
  "depth",
  "stride",
  "offset",
]);

/** Most rows that are summed in one step. */
const STEP = 32;

/** Arguments of {@link columnSums}. */
export interface ColumnSumsArgs {
  /** [M, N] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** Factors, as large as x, f32 or f16; ones if absent. */
  readonly z?: Tensor;
  /** Sums, f32: N for each group, in tensors of any shape. */
  readonly y: Gradient;
  /** Consecutive rows that make a group; M if absent. */
  readonly rows?: number;
  /** Elements of y before the first sum; 0 if absent. */
  readonly offset?: number;
  /** Elements of y from the sums of one group to those of the next; N if absent. */
  readonly stride?: number;
}

/**
 * y[g, n] = Σ x[m, n] · z[m, n] over the rows m of group g, or y plus that: the gradient of what is added to each row, or
 * multiplied by it. Sums are f32, in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function columnSums(device: Device, args: ColumnSumsArgs): void {
  const { x, z, y: { tensor, add }, offset = 0 } = args;
  const N = x.shape.at(-1) ?? 1;
  const M = x.elements / N;
  const { rows = M, stride = N } = args;
  const groups = M / rows;
  if (
    groups % 1 || stride < N || (z && z.elements !== x.elements) || tensor.dtype !== "f32" ||
    tensor.elements < offset + (groups - 1) * stride + N
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot sum the columns of [${x.shape}]${z ? ` times [${z.shape}]` : ""}, ` +
        `${rows} rows each, into ${tensor.dtype} [${tensor.shape}]`,
    );
  }
  // many rows are summed in about as many parts as each has rows
  const parts = rows <= STEP ? 1 : Math.ceil(rows / Math.max(STEP, Math.ceil(Math.sqrt(rows))));
  const factors = z ?? null;
  if (parts === 1) {
    return dispatch(device, { x, z: factors, y: tensor, N, rows, parts, add, stride, offset });
  }
  using sums = device.tensor("f32", [groups * parts, N], "parts of sums");
  dispatch(device, { x, z: factors, y: sums, N, rows, parts, add: false, stride: N, offset: 0 });
  dispatch(device, { x: sums, z: null, y: tensor, N, rows: parts, parts: 1, add, stride, offset });
}

/** One step of {@link columnSums}. */
interface Step {
  readonly x: Tensor;
  readonly z: Tensor | null;
  readonly y: Tensor;
  readonly N: number;
  readonly rows: number;
  readonly parts: number;
  readonly add: boolean;
  readonly stride: number;
  readonly offset: number;
}

/** Adds up each of `parts` parts of each group of rows. */
function dispatch(device: Device, step: Step): void {
  const { x, z, y, N, rows, parts, add, stride, offset } = step;
  const per = [N, stride, offset].every((n) => n % 4 === 0) ? 4 : 1;
  const type = (scalar: string) => per === 4 ? `vec4<${scalar}>` : scalar;
  const columns = N / per;
  const count = x.elements / N / rows * parts * columns;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      TIMES: z !== null,
      X: type(x.dtype),
      Z: type(z?.dtype ?? "f32"),
      V: type("f32"),
    },
    bind: { x, z, y },
    params: {
      count,
      columns,
      rows,
      parts,
      depth: Math.ceil(rows / parts),
      stride: stride / per,
      offset: offset / per,
    },
    workgroups,
  });
}
