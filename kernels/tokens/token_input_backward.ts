import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { accumulate } from "../elementwise/accumulate.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { embeddingBackward } from "./embedding_backward.ts";
import type { Lookups } from "./lookups.ts";
import source from "./token_input_backward.wgsl" with { type: "text" };

const kernel = defineKernel("token_input_backward", source, ["dy", "pooled", "words"], [
  "count",
  "rows",
  "width",
]);

const prelude = memoised((pooled: string, words: string): string =>
  [
    gradientLines(pooled, 4, "narrow_pooled"),
    gradientLines(words, 4, "narrow_words"),
  ].join("\n")
);

/** Arguments of {@link tokenInputBackward}. Gradients that are absent are not wanted. */
export interface TokenInputBackwardArgs {
  /** Gradient of the tokens, [B, L, C] f32, of which the first of each image is the start token. */
  readonly dy: Tensor;
  /** The scale of each of the L tokens, as rows of `lvl_embed`. */
  readonly levels: Lookups;
  /** Gradient of the pooled text, [B, C] f32 or f16. */
  readonly dpooled?: Gradient | null;
  /** Gradient of `pos_start`, C f32. */
  readonly dposition?: Gradient | null;
  /** Gradient of the embedded codes, [B, L − 1, C] f32 or f16. */
  readonly dwords?: Gradient | null;
  /** Gradient of `lvl_embed.weight`, [levels, C] f32. */
  readonly dtable?: Gradient | null;
}

/**
 * The gradients of `tokenInput` with a start token, and with as many sequences as images; also that of `addLevel` by its
 * table. What all images share is summed over the images, then over the tokens of each scale, in their order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or C is not divisible by 4.
 */
export function tokenInputBackward(device: Device, args: TokenInputBackwardArgs): void {
  const { dy, levels, dpooled = null, dposition = null, dwords = null, dtable = null } = args;
  const [B = 0, L = 0, C = 0] = dy.shape;
  const large = (gradient: Gradient | null, elements: number) =>
    !gradient || gradient.tensor.elements === elements;
  if (
    C % 4 || levels.length !== L || !large(dpooled, B * C) || !large(dposition, C) ||
    !large(dwords, B * (L - 1) * C) || !large(dtable, levels.rows * C)
  ) {
    const given = [dpooled, dposition, dwords, dtable];
    throw new KernelError(
      "bad-shape",
      `Cannot send tokens [${dy.shape}] of ${levels.length} levels back to ` +
        given.map((gradient) => `[${gradient?.tensor.shape ?? "none"}]`).join(", "),
    );
  }
  if (dpooled || dwords) split(device, dy, dpooled, dwords);
  if (!dposition && !dtable) return;
  using sums = device.tensor("f32", [L, C], "sums over images");
  columnSums(device, { x: dy.reshape(B, L * C), y: { tensor: sums, add: false } });
  if (dposition) accumulate(device, sums.rows(0, 1), dposition);
  embeddingBackward(device, { dy: sums, lookups: levels, dtable });
}

/** Copies the gradients of tokens to what they were made of. */
function split(
  device: Device,
  dy: Tensor,
  dpooled: Gradient | null,
  dwords: Gradient | null,
): void {
  const [, rows = 0, C = 0] = dy.shape;
  const [P, W] = [dpooled, dwords].map((gradient) => gradient?.tensor.dtype ?? "f32");
  const { WG, workgroups } = spread(device, dy.elements / 4);
  device.run(kernel, {
    specialise: {
      WG,
      DY: `vec4<${dy.dtype}>`,
      P: `vec4<${P}>`,
      W: `vec4<${W}>`,
      POOLED: dpooled !== null,
      WORDS: dwords !== null,
      ADD_POOLED: dpooled?.add ?? false,
      ADD_WORDS: dwords?.add ?? false,
    },
    functions: prelude(P!, W!),
    bind: { dy, pooled: dpooled?.tensor ?? null, words: dwords?.tensor ?? null },
    params: { count: dy.elements / 4, rows, width: C / 4 },
    workgroups,
  });
}
