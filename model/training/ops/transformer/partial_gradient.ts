import { fill } from "../../../../kernels/elementwise/fill.ts";
import type { Gradient } from "../../../../kernels/shared/gradient.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Where an operation adds the gradient by a part of `x`: zeros at first, since others add those by the other parts. */
export function partialGradient({ device }: Tape, x: Variable): Gradient | null {
  const gradient = x.gradient;
  if (gradient && !gradient.add) fill(device, gradient.tensor, 0);
  return gradient && { tensor: gradient.tensor, add: true };
}
