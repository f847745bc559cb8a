import { embedding as forward } from "../../../../kernels/tokens/embedding.ts";
import { embeddingBackward } from "../../../../kernels/tokens/embedding_backward.ts";
import type { Lookups } from "../../../../kernels/tokens/lookups.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** y [T, C] f32 = the rows of table [V, C] that are looked up. The caller keeps `lookups` until the tape is unwound. */
export function embedding(tape: Tape, table: Variable, lookups: Lookups): Variable {
  const { device } = tape;
  const y = tape.output([lookups.length, table.value.shape[1]!], "embedded", "f32");
  forward(device, { ids: lookups.ids, table: table.value, y });
  return tape.record(y, [table], (dy) => {
    embeddingBackward(device, { dy, lookups, dtable: table.gradient });
  });
}
