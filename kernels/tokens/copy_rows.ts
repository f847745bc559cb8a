import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { narrowLines } from "../shared/narrow.ts";
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
  /** [B, rows of y, C] f32 or f16; what is too large for f16 becomes its largest number. */
  readonly y: Tensor;
  /** Number of rows to copy per image. */
  readonly rows: number;
}

/** All prelude lines. */
const prelude = memoised((from: string, to: string): string => {
  if (from === to) return "fn convert(v: X) -> Y { return v; }";
  return `${narrowLines(to)}
fn convert(v: X) -> Y { return narrow(vec4<f32>(v)); }`;
});

/**
 * Copies the first rows of each image, as from a KV cache to a longer one, or converts them.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or C is not divisible by 4.
 */
export function copyRows(device: Device, { x, y, rows }: CopyRowsArgs): void {
  const [B = 0, xRows = 0, C = 0] = x.shape;
  const [yB, yRows = 0, yC] = y.shape;
  if (C % 4 || yB !== B || yC !== C || rows > xRows || rows > yRows) {
    throw new KernelError(
      "bad-shape",
      `Cannot copy ${rows} rows of ${x.dtype} [${x.shape}] to ${y.dtype} [${y.shape}]`,
    );
  }
  const halves = x.dtype === "f16" && y.dtype === "f16" && C % 8 === 0;
  const per = halves ? 8 : 4;
  const type = (dtype: string) => halves ? "vec4<u32>" : `vec4<${dtype}>`;
  const block = rows * C / per;
  const { WG, workgroups } = spread(device, B * block);
  device.run(kernel, {
    specialise: { X: type(x.dtype), Y: type(y.dtype), WG },
    functions: prelude(x.dtype, y.dtype),
    bind: { x, y },
    params: { count: B * block, block, x_block: xRows * C / per, y_block: yRows * C / per },
    workgroups,
    work: { bytes: rows * (x.byteLength / xRows + y.byteLength / yRows) },
  });
}
