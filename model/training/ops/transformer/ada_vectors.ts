import { columnSums } from "../../../../kernels/linear/column_sums.ts";
import { adaVectors as forward } from "../../../../kernels/norm/ada_vectors.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/**
 * The AdaLN vectors of one block, [B, 6·C] f32: gamma1, gamma2, scale1, scale2, shift1, shift2 of each image.
 *
 * @param shared Output of `shared_ada_lin`, [B, 6·C] f32.
 * @param gss The block's `ada_gss`, 6·C f32 of any shape.
 */
export function adaVectors(tape: Tape, shared: Variable, gss: Variable): Variable {
  const { device } = tape;
  const [B = 0, width = 0] = shared.value.shape;
  const y = tape.output([B, width], "AdaLN vectors", "f32");
  const adaGss = gss.value.reshape(1, width);
  forward(device, { shared: shared.value, adaGss, y: y.reshape(1, B, width) });
  return tape.record(y, [shared, gss], (dy) => {
    gss.receive((where) => columnSums(device, { x: dy, y: where }));
    shared.take(dy);
  });
}
