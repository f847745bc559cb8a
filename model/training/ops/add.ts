import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";

/** y = a + b, of the type of `a`. */
export function add(tape: Tape, a: Variable, b: Variable): Variable {
  const { device } = tape;
  const y = tape.output(a.value.shape, "sum", a.value.dtype as "f32" | "f16");
  accumulate(device, a.value, { tensor: y, add: false });
  accumulate(device, b.value, { tensor: y, add: true });
  return tape.record(y, [a, b], (dy) => {
    b.receive((where) => accumulate(device, dy, where));
    a.take(dy);
  });
}
