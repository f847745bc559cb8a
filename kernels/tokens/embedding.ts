import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./embedding.wgsl" with { type: "text" };

const kernel = defineKernel("embedding", source, ["ids", "table", "y"], [
  "count",
  "C",
  "first",
  "rows",
]);

const prelude = memoised((dtype: string, per: 1 | 4) => narrowLines(dtype, per));

/** Arguments of {@link embedding}. */
export interface EmbeddingArgs {
  /** [T] u32. */
  readonly ids: Tensor;
  /** [V, C] f32 or f16: the rows for ids `first` to first + V − 1. */
  readonly table: Tensor;
  /** Id of the first row, if a table larger than a binding is bound in parts; 0 if absent. */
  readonly first?: number;
  /** [T, C] f32 or f16; rows for ids outside the table keep their values. */
  readonly y: Tensor;
}

/**
 * y[t] = table[ids[t]] (`torch.nn.Embedding`).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or ids are not u32.
 */
export function embedding(device: Device, { ids, table, first = 0, y }: EmbeddingArgs): void {
  const [V = 0, C = 0] = table.shape;
  if (table.shape.length !== 2 || ids.dtype !== "u32" || y.elements !== ids.elements * C) {
    throw new KernelError(
      "bad-shape",
      `Cannot look up ${ids.dtype} [${ids.shape}] in [${table.shape}] into [${y.shape}]`,
    );
  }
  const { per, type } = vectorsOf(C);
  const { WG, workgroups } = spread(device, y.elements / per);
  device.run(kernel, {
    specialise: { TABLE: type(table.dtype), Y: type(y.dtype), V: type("f32"), WG },
    functions: prelude(y.dtype, per),
    bind: { ids, table, y },
    params: { count: y.elements / per, C: C / per, first, rows: V },
    workgroups,
    work: { bytes: ids.byteLength + 2 * y.byteLength }, // of the table, only the rows that are looked up
  });
}
