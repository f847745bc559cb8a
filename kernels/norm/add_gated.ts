import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { type Gate, gateReach } from "../linear/epilogue.ts";
import { divideLines } from "../shared/divide.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./add_gated.wgsl" with { type: "text" };

const kernel = defineKernel("add_gated", source, ["x", "v", "gate", "y"], [
  "count",
  "columns",
  "rows",
  "stride",
  "offset",
]);

const prelude = memoised((dtype: string, per: 1 | 4, divide: string) =>
  `${narrowLines(dtype, per)}\n${divide}`
);

/** Arguments of {@link addGated}. */
export interface AddGatedArgs {
  /** The residual stream, [M, C] f32 or f16. */
  readonly x: Tensor;
  /** What is added to it, [M, C] f32 or f16. */
  readonly v: Tensor;
  /** Factors of v; ones if absent. */
  readonly gate?: Gate;
  /** [M, C] f32 or f16. */
  readonly y: Tensor;
}

/**
 * y = x + gate[image] · v: the residual connections of `CrossAttnBlock` in infinity/models/basic.py, whose gates are
 * AdaLN's gamma of each image or one `ca_gamma` [C].
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function addGated(device: Device, { x, v, gate, y }: AddGatedArgs): void {
  const C = x.shape.at(-1) ?? 0;
  const { rows = 1, stride = 0, offset = 0 } = gate ?? {};
  if (
    v.elements !== x.elements || y.elements !== x.elements ||
    (gate && gate.tensor.elements < gateReach(gate, x.elements / C, C))
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot add [${v.shape}] to [${x.shape}] through the gate [${
        gate?.tensor.shape ?? "none"
      }] into [${y.shape}]`,
    );
  }
  const { per, type } = vectorsOf(C, stride, offset);
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      X: type(x.dtype),
      W: type(v.dtype),
      Y: type(y.dtype),
      V: type("f32"),
      GATE: gate !== undefined,
    },
    functions: prelude(y.dtype, per, divideLines(device, count)),
    bind: { x, v, gate: gate?.tensor ?? null, y },
    params: { count, columns: C / per, rows, stride: stride / per, offset: offset / per },
    workgroups,
  });
}
