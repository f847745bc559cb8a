import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./token_input.wgsl" with { type: "text" };

const kernel = defineKernel("token_input", source, [
  "pooled",
  "start",
  "words",
  "table",
  "level",
  "y",
], [
  "batch",
  "rows",
  "width",
  "images",
  "skip",
]);

/** Arguments of {@link tokenInput}. */
export interface TokenInputArgs {
  /** Of the start token: pooled text [batch, C] and `pos_start` [C], f32; null for scales after the first. */
  readonly start: { readonly pooled: Tensor; readonly position: Tensor } | null;
  /** Embedded codes [images, rows (less 1 with a start token), C] f32 or f16; null if there is only the start token. */
  readonly words: Tensor | null;
  /** `lvl_embed.weight` [levels, C] f32. */
  readonly table: Tensor;
  /** Scale index of each token, u32 [rows]. */
  readonly level: Tensor;
  /** [batch, rows, C] f32; sequence b reads the words of image b mod images. */
  readonly y: Tensor;
}

/**
 * Writes the input tokens of a pass: the start token and the embedded codes, repeated for the unconditional half,
 * each with the level embedding of its scale (`autoregressive_infer_cfg` and `forward` in infinity/models/infinity.py).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or C is not divisible by 4.
 */
export function tokenInput(
  device: Device,
  { start, words, table, level, y }: TokenInputArgs,
): void {
  const [batch = 0, rows = 0, C = 0] = y.shape;
  const skip = start ? 1 : 0;
  const images = words?.shape[0] ?? 1;
  if (
    C % 4 || (words?.elements ?? 0) !== (words ? images * (rows - skip) * C : 0) ||
    table.shape[1] !== C || level.elements !== rows || (!words && rows !== skip) ||
    (start && start.pooled.elements !== batch * C)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot make tokens [${y.shape}] of words [${words?.shape ?? "none"}]`,
    );
  }
  const { WG, workgroups } = spread(device, y.elements / 4);
  device.run(kernel, {
    specialise: { W: `vec4<${words?.dtype ?? "f32"}>`, WG },
    bind: {
      pooled: start?.pooled ?? null,
      start: start?.position ?? null,
      words,
      table,
      level,
      y,
    },
    params: { batch, rows, width: C / 4, images, skip },
    workgroups,
  });
}
