import { poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import type { Float } from "./op.ts";

/** A gradient of `count` elements, and what it holds once `gradient` was written or added. */
export function place(draw: Draw, dtype: Float, count: number, add: boolean) {
  const before = draw.values(count, dtype);
  const tensor = add ? upload(dtype, [count], before) : poisoned(dtype, [count]);
  return {
    gradient: { tensor, add },
    output: (gradient: Float64Array) => ({
      tensor,
      expected: gradient.map((v, i) => v + (add ? before[i]! : 0)),
    }),
  };
}
