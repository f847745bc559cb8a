import { pairDifference } from "../../../../kernels/losses/pair_difference.ts";
import { pairDifferenceBackward } from "../../../../kernels/losses/pair_difference_backward.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/**
 * The rows, or elements, of the official head.weight [2·d, C] or head.bias [2·d] as those that make logit differences,
 * [d, C] or [d] f32: y[k] = x[2k + 1] − x[2k]. So the head is trained by differences, and stays the official one.
 */
export function headDifference(tape: Tape, x: Variable): Variable {
  const { device } = tape;
  const [rows = 0, ...rest] = x.value.shape;
  const y = tape.output([rows / 2, ...rest], "head of differences", "f32");
  pairDifference(device, { x: x.value, y });
  return tape.record(y, [x], (dy) => {
    x.receive((dx) => pairDifferenceBackward(device, { dy, dx }));
  });
}
