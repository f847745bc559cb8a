import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { accumulate } from "../elementwise/accumulate.ts";
import { columnSums } from "../linear/column_sums.ts";
import { type Gate, gateReach } from "../linear/epilogue.ts";
import type { Gradient } from "../shared/gradient.ts";
import { divideLines } from "../shared/divide.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./add_gated_backward.wgsl" with { type: "text" };

const kernel = defineKernel("add_gated_backward", source, ["dy", "gate", "dv"], [
  "count",
  "columns",
  "rows",
  "stride",
  "offset",
]);

const prelude = memoised((dtype: string, per: 1 | 4, divide: string) =>
  `${gradientLines(dtype, per)}\n${divide}`
);

/** Arguments of {@link addGatedBackward}. */
export interface AddGatedBackwardArgs {
  /** Gradient of the output, [M, C] f32 or f16: also that of x. */
  readonly dy: Tensor;
  /** What was added, [M, C] f32 or f16. */
  readonly v: Tensor;
  /** Its factors; ones if absent. M is divisible by their rows. */
  readonly gate?: Gate;
  /** Gradient of v, f32 or f16; not wanted if null. */
  readonly dv: Gradient | null;
  /** Gradient of the gate's tensor, f32: only its factors are written. Not wanted if absent. */
  readonly dgate?: Gradient | null;
}

/**
 * dv = gate[image] · dy and dgate[image] = Σ dy · v over the rows of an image: the gradients of `addGated`.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function addGatedBackward(device: Device, args: AddGatedBackwardArgs): void {
  const { dy, v, gate, dv, dgate = null } = args;
  const C = dy.shape.at(-1) ?? 0;
  const M = dy.elements / C;
  const { rows = 1, stride = 0, offset = 0 } = gate ?? {};
  if (
    v.elements !== dy.elements || (dv && dv.tensor.elements !== dy.elements) ||
    (gate ? M % rows || gate.tensor.elements < gateReach(gate, M, C) : dgate) ||
    (dgate && dgate.tensor.elements !== gate?.tensor.elements)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back to [${v.shape}] through the gate [${
        gate?.tensor.shape ?? "none"
      }]`,
    );
  }
  if (dgate) {
    // one row of gates has no stride
    const groups = M === rows ? {} : { rows, stride };
    columnSums(device, { x: dy, z: v, y: dgate, offset, ...groups });
  }
  if (!dv) return;
  if (!gate) return accumulate(device, dy, dv);
  const { per, type } = vectorsOf(C, stride, offset);
  const count = dy.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: dv.add,
      DY: type(dy.dtype),
      DV: type(dv.tensor.dtype),
      V: type("f32"),
    },
    functions: prelude(dv.tensor.dtype, per, divideLines(device, count)),
    bind: { dy, gate: gate.tensor, dv: dv.tensor },
    params: { count, columns: C / per, rows, stride: stride / per, offset: offset / per },
    workgroups,
  });
}
