import { gatedGelu as forward } from "../../../../kernels/elementwise/gated_gelu.ts";
import { gatedGeluBackward } from "../../../../kernels/elementwise/gated_gelu_backward.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** y [T, F] = gelu(h[:, :F]) · h[:, F:] of h [T, 2F], of the type of activations. */
export function gatedGelu(tape: Tape, h: Variable): Variable {
  const { device } = tape;
  const { shape } = h.value;
  const y = tape.output([...shape.slice(0, -1), shape.at(-1)! / 2], "gated");
  forward(device, { h: h.value, y });
  return tape.record(y, [h], (dy) => {
    gatedGeluBackward(device, { h: h.value, dy, dh: h.gradient });
  });
}
