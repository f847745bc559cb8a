import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import source from "./accumulate_codes.wgsl" with { type: "text" };
import resizeLinear from "./resize_linear.wgsl" with { type: "text" };

const kernel = defineKernel("accumulate_codes", source, ["bits", "sum"], [
  "count",
  "height",
  "width",
  "rows",
  "columns",
  "C",
  "side",
  "first",
  "value",
  "row_unit",
  "column_unit",
]);

/** Arguments of {@link accumulateCodes}. */
export interface AccumulateCodesArgs {
  /** Bits of a scale's tokens, [B, height·width, d] u32, where d is dv, or 4·dv with patches. */
  readonly bits: Tensor;
  /** [B, H, W, dv] f32. */
  readonly sum: Tensor;
  /** Rows of tokens. */
  readonly height: number;
  /** Columns of tokens. */
  readonly width: number;
  /** Whether this is the first scale, which overwrites sum instead of adding to it. */
  readonly first: boolean;
  /** Subtracts the codes, which leaves what the scale does not explain; false if absent. */
  readonly subtract?: boolean;
  /** Whether a token holds a 2 × 2 square of codes. */
  readonly patchify: boolean;
}

/**
 * Adds a scale's codes ±1/√dv, resized linearly, to the sum of codes, or subtracts them (`autoregressive_infer_cfg` in
 * infinity/models/infinity.py; multi-scale BSQ, section 3.2 of the paper).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function accumulateCodes(device: Device, args: AccumulateCodesArgs): void {
  const { bits, sum, height, width, first, subtract = false, patchify } = args;
  const [B = 0, H = 0, W = 0, dv = 0] = sum.shape;
  const side = patchify ? 2 : 1;
  const tokens = [B, height * width, dv * side * side];
  if (sum.shape.length !== 4 || bits.shape.join() !== tokens.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot add codes of bits [${bits.shape}], ${height} × ${width} tokens, to [${sum.shape}]`,
    );
  }
  const { WG, workgroups } = spread(device, sum.elements);
  device.run(kernel, {
    specialise: { T: "f32", WG },
    functions: `${divideLines(device, sum.elements)}\n${resizeLinear}`,
    bind: { bits, sum },
    params: {
      count: sum.elements,
      height: H,
      width: W,
      rows: height * side,
      columns: width * side,
      C: dv,
      side,
      first: Number(first),
      value: (subtract ? -1 : 1) / Math.sqrt(dv),
      row_unit: 1 / (2 * H),
      column_unit: 1 / (2 * W),
    },
    workgroups,
  });
}
