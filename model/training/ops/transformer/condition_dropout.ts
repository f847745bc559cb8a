import { chooseRows } from "../../../../kernels/tokens/choose_rows.ts";
import { embeddingBackward } from "../../../../kernels/tokens/embedding_backward.ts";
import type { Lookups } from "../../../../kernels/tokens/lookups.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Stands for a row that is kept: no table has it. */
const KEPT = 0xffffffff;

/**
 * Which row of `cfg_uncond` replaces each text feature of a batch, for `Lookups`: the first rows, in order, where an
 * image's condition is dropped.
 *
 * @param lens Features of each image.
 * @param dropped For each image, whether its condition is dropped.
 */
export function droppedRows(lens: readonly number[], dropped: readonly boolean[]): Uint32Array {
  return Uint32Array.from(
    lens.flatMap((len, image) =>
      Array.from({ length: len }, (_, row) => dropped[image] ? row : KEPT)
    ),
  );
}

/**
 * Text features [ΣT, C] in which those of images without a condition are rows of `cfg_uncond` [text_maxlen, C] f32
 * (`cond_drop_rate` in `forward` of infinity/models/infinity.py).
 *
 * @param lookups Of {@link droppedRows}. The caller keeps it until the tape is unwound.
 */
export function conditionDropout(
  tape: Tape,
  features: Variable,
  uncond: Variable,
  lookups: Lookups,
): Variable {
  const { device } = tape;
  const { ids, rows } = lookups;
  const y = tape.output(features.value.shape, "text features");
  const x = features.value;
  chooseRows(device, { x, ids, rows, table: uncond.value, y: { tensor: y, add: false } });
  return tape.record(y, [features, uncond], (dy) => {
    embeddingBackward(device, { dy, lookups, dtable: uncond.gradient });
    features.receive((y) => chooseRows(device, { x: dy, ids, rows, table: null, y }));
  });
}
