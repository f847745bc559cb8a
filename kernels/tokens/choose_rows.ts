import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./choose_rows.wgsl" with { type: "text" };

const kernel = defineKernel("choose_rows", source, ["x", "ids", "table", "y"], [
  "count",
  "columns",
  "rows",
]);

const prelude = memoised((dtype: string, per: 1 | 4) => gradientLines(dtype, per));

/** Arguments of {@link chooseRows}. */
export interface ChooseRowsArgs {
  /** [T, C] f32 or f16. */
  readonly x: Tensor;
  /** For each row of x, the row of the table that replaces it, or what the table has not; u32 [T]. */
  readonly ids: Tensor;
  /** Rows of the table. */
  readonly rows: number;
  /** [rows, C] f32 or f16; zeros if null. */
  readonly table: Tensor | null;
  /** [T, C] f32 or f16. */
  readonly y: Gradient;
}

/**
 * y[t] = table[ids[t]] where the table has such a row, and x[t] elsewhere. Without a table it is the gradient by x of
 * the same choice.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or ids are not u32.
 */
export function chooseRows(device: Device, { x, ids, rows, table, y }: ChooseRowsArgs): void {
  const { tensor, add } = y;
  const C = x.shape.at(-1) ?? 0;
  if (
    ids.dtype !== "u32" || ids.elements * C !== x.elements || tensor.elements !== x.elements ||
    (table && table.elements !== rows * C)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot choose rows of [${x.shape}] or [${table?.shape ?? "zeros"}] by ${ids.dtype} ` +
        `[${ids.shape}] into [${tensor.shape}]`,
    );
  }
  const { per, type } = vectorsOf(C);
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      TABLE: table !== null,
      X: type(x.dtype),
      T: type(table?.dtype ?? "f32"),
      Y: type(tensor.dtype),
      V: type("f32"),
    },
    functions: prelude(tensor.dtype, per),
    bind: { x, ids, table, y: tensor },
    params: { count, columns: C / per, rows },
    workgroups,
  });
}
