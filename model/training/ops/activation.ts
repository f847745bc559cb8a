import { activate } from "../../../kernels/elementwise/activate.ts";
import { activateBackward } from "../../../kernels/elementwise/activate_backward.ts";
import type { Activation } from "../../../kernels/shared/activations.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";

/** y = the function of each element of x, of the type of activations: GELU in its tanh form, or SiLU. */
export function activation(tape: Tape, x: Variable, kind: Activation): Variable {
  const { device } = tape;
  const y = tape.output(x.value.shape, kind);
  activate(device, { x: x.value, y, kind });
  return tape.record(y, [x], (dy) => {
    activateBackward(device, { x: x.value, dy, kind, dx: x.gradient });
  });
}
