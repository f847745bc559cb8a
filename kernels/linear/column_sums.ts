import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./column_sums.wgsl" with { type: "text" };

const kernel = defineKernel("column_sums", source, ["x", "z", "y"], [
  "count",
  "columns",
  "pitch",
  "first",
  "rows",
  "parts",
  "depth",
  "stride",
  "offset",
]);

/** Most rows that are summed in one step. */
const STEP = 64;

/** Most elements of rows that are taken for one. */
const WIDE = 256;

/** Arguments of {@link columnSums}. */
export interface ColumnSumsArgs {
  /** [M, N] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** Factors, as large as x, f32 or f16; ones if absent. */
  readonly z?: Tensor;
  /** Sums, f32: as many as columns for each group, in a tensor of any shape. */
  readonly y: Gradient;
  /** Consecutive rows that make a group; M if absent. */
  readonly rows?: number;
  /** Number of columns to sum; N if absent. */
  readonly columns?: number;
  /** The first of them; 0 if absent. */
  readonly first?: number;
  /** Elements of y before the first sum; 0 if absent. */
  readonly offset?: number;
  /** Elements of y from the sums of one group to those of the next; `columns` if absent. */
  readonly stride?: number;
}

/**
 * y[g, n] = Σ x[m, first + n] · z[m, first + n] over the rows m of group g, or y plus that: the gradient of what is added
 * to each row, or multiplied by it. Sums are f32, in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function columnSums(device: Device, args: ColumnSumsArgs): void {
  const { x, z, y: { tensor, add }, first = 0, offset = 0 } = args;
  const pitch = x.shape.at(-1) ?? 1;
  const M = x.elements / pitch;
  const { rows = M, columns = pitch } = args;
  const { stride = columns } = args;
  const groups = M === rows ? 1 : M / rows; // a sum of no rows is zero
  if (
    groups % 1 || stride < columns || first + columns > pitch ||
    (z && z.elements !== x.elements) || tensor.dtype !== "f32" ||
    tensor.elements < offset + (groups - 1) * stride + columns
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot sum ${columns} columns of [${x.shape}]${z ? ` times [${z.shape}]` : ""}, ` +
        `${rows} rows each, into ${tensor.dtype} [${tensor.shape}]`,
    );
  }
  sum(device, { x, z: z ?? null, groups, columns, first, rows, y: tensor, add, stride, offset });
}

/** Groups of rows of x, and where their sums go. */
interface Sums extends Required<Pick<ColumnSumsArgs, "x" | "columns" | "first" | "rows">> {
  readonly z: Tensor | null;
  readonly groups: number;
  readonly y: Tensor;
  readonly add: boolean;
  readonly stride: number;
  readonly offset: number;
}

/** Sums groups of few rows; those of many in about as many parts as each has rows, which are then summed. */
function sum(device: Device, sums: Sums): void {
  const { x, z, groups, columns, rows } = sums;
  const fold = foldOf(sums);
  const folded = rows / fold;
  const parts = Math.max(1, Math.ceil(folded / Math.max(STEP, Math.ceil(Math.sqrt(folded)))));
  if (parts === 1 && fold === 1) return dispatch(device, sums, 1);
  const wide = (tensor: Tensor) => tensor.reshape(tensor.elements / columns / fold, columns * fold);
  using y = device.tensor("f32", [groups * parts * fold, columns], "parts of sums");
  const shape = fold > 1 ? { x: wide(x), z: z && wide(z) } : {};
  const stride = columns * fold;
  const first = { ...sums, ...shape, columns: stride, rows: folded, y, stride };
  dispatch(device, { ...first, add: false, offset: 0 }, parts);
  sum(device, { ...sums, x: y, z: null, first: 0, rows: parts * fold });
}

/** How many rows to take for one, so that narrow rows are read in long runs of vec4s. */
function foldOf({ x, columns, rows }: Sums): number {
  let fold = 1;
  if (columns !== x.shape.at(-1)) return fold;
  while (rows % (2 * fold) === 0 && rows >= 2 * fold * STEP && 2 * fold * columns <= WIDE) {
    fold *= 2;
  }
  return fold;
}

/** Adds up each of `parts` parts of each group of rows. */
function dispatch(device: Device, sums: Sums, parts: number): void {
  const { x, z, y, groups, columns, first, rows, add, stride, offset } = sums;
  const pitch = x.shape.at(-1) ?? 1;
  const { per, type } = vectorsOf(pitch, columns, first, stride, offset);
  const count = groups * parts * columns / per;
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
      columns: columns / per,
      pitch: pitch / per,
      first: first / per,
      rows,
      parts,
      depth: Math.ceil(rows / parts),
      stride: stride / per,
      offset: offset / per,
    },
    workgroups,
  });
}
