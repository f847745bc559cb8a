import { accumulate } from "../../../../kernels/elementwise/accumulate.ts";
import { addLevel as forwardLevel } from "../../../../kernels/tokens/add_level.ts";
import type { Lookups } from "../../../../kernels/tokens/lookups.ts";
import { tokenInput as forward } from "../../../../kernels/tokens/token_input.ts";
import { tokenInputBackward } from "../../../../kernels/tokens/token_input_backward.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Inputs of {@link tokenInput}. */
export interface TokenInputs {
  /** Pooled text, [B, C] f32. */
  readonly pooled: Variable;
  /** `pos_start`, C f32 of any shape. */
  readonly position: Variable;
  /** Embedded codes, [B, L − 1, C]; null if there is only the start token. */
  readonly words: Variable | null;
  /** `lvl_embed.weight`, [levels, C] f32. */
  readonly table: Variable;
  /** The scale of each of the L tokens. The caller keeps it until the tape is unwound. */
  readonly levels: Lookups;
}

/**
 * The tokens of all scales at once, [B, L, C] f32: the start token and the embedded codes, each with the level embedding
 * of its scale (`forward` in infinity/models/infinity.py).
 */
export function tokenInput(tape: Tape, inputs: TokenInputs): Variable {
  const { device } = tape;
  const { pooled, position, words, table, levels } = inputs;
  const [B = 0, C = 0] = pooled.value.shape;
  const y = tape.output([B, levels.length, C], "residual stream", "f32");
  forward(device, {
    start: { pooled: pooled.value, position: position.value },
    words: words?.value ?? null,
    table: table.value,
    level: levels.ids,
    y,
  });
  const all = [pooled, position, table, ...words ? [words] : []];
  return tape.record(y, all, (dy) => {
    tokenInputBackward(device, {
      dy,
      levels,
      dpooled: pooled.gradient,
      dposition: position.gradient,
      dwords: words?.gradient ?? null,
      dtable: table.gradient,
    });
  });
}

/** x [B, L, C] f32 with the level embedding of each token: models that add it before each chunk of blocks do it again. */
export function addLevel(tape: Tape, x: Variable, table: Variable, levels: Lookups): Variable {
  const { device } = tape;
  const y = tape.output(x.value.shape, "residual stream", "f32");
  accumulate(device, x.value, { tensor: y, add: false });
  forwardLevel(device, { table: table.value, level: levels.ids, y });
  return tape.record(y, [x, table], (dy) => {
    tokenInputBackward(device, { dy, levels, dtable: table.gradient });
    x.take(dy);
  });
}
