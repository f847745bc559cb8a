import {
  defineKernel,
  type Device,
  ELEMENT_BYTES,
  KernelError,
  type Tensor,
} from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
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
  const per = C * ELEMENT_BYTES[x.dtype] % 16 ? 4 : 16 / ELEMENT_BYTES[x.dtype];
  const block = rows * C / per;
  const { WG, workgroups } = spread(device, B * block);
  device.run(kernel, {
    specialise: { T: per === 8 ? "vec4<u32>" : `vec4<${x.dtype}>`, WG },
    bind: { x, y },
    params: { count: B * block, block, x_block: xRows * C / per, y_block: yRows * C / per },
    workgroups: rows === 0 ? [0] : workgroups,
    work: { bytes: 2 * B * rows * x.byteLength / (B * xRows) },
  });
}
