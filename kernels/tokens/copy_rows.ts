import { defineKernel, type Device, grid, KernelError, type Tensor } from "../../engine/mod.ts";
import source from "./copy_rows.wgsl" with { type: "text" };

const kernel = defineKernel("copy_rows", source, ["x", "y"], [
  "count",
  "block",
  "x_block",
  "y_block",
]);

/** Arguments of {@link copyRows}. */
export interface CopyRowsArgs {
  /** [B, rows of x, C] f32 or f16. */
  readonly x: Tensor;
  /** [B, rows of y, C] of the same dtype. */
  readonly y: Tensor;
  /** Number of rows to copy per image. */
  readonly rows: number;
}

/**
 * Copies the first rows of each image, as from a KV cache to a longer one.
 *
 * @throws {KernelError} `bad-shape`: shapes or dtypes disagree or C is not divisible by 4.
 */
export function copyRows(device: Device, { x, y, rows }: CopyRowsArgs): void {
  const [B = 0, xRows = 0, C = 0] = x.shape;
  const [yB, yRows = 0, yC] = y.shape;
  if (
    C % 4 || yB !== B || yC !== C || x.dtype !== y.dtype || rows > xRows || rows > yRows
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot copy ${rows} rows of ${x.dtype} [${x.shape}] to ${y.dtype} [${y.shape}]`,
    );
  }
  const block = rows * C / 4;
  device.run(kernel, {
    specialise: { T: `vec4<${x.dtype}>` },
    bind: { x, y },
    params: { count: B * block, block, x_block: xRows * C / 4, y_block: yRows * C / 4 },
    workgroups: rows === 0 ? [0] : grid(Math.ceil(B * block / 64)),
    work: { bytes: 2 * B * rows * x.byteLength / (B * xRows) },
  });
}
