import { type Device, KernelError } from "../../engine/mod.ts";
import { textureTexels } from "../shared/textures.ts";
import { variantOf } from "../shared/variants.ts";
import { type AttentionArgs, attentionLayout, type AttentionVariant } from "./attention_launch.ts";
import { attentionMatrices, attentionMatrix } from "./attention_matrix.ts";
import { attentionOnePass, onePass } from "./attention_one_pass.ts";
import { attentionSubgroup, attentionTexture } from "./attention_subgroup.ts";
import { attentionTiles, fitsTiles } from "./attention_tiles.ts";
import { attentionWorkgroup } from "./attention_workgroup.ts";

export type { AttentionArgs, AttentionVariant, RelativeBias } from "./attention_launch.ts";

const LAUNCHERS: Readonly<Record<AttentionVariant, typeof attentionWorkgroup>> = {
  workgroup: attentionWorkgroup,
  tiles: attentionTiles,
  subgroup: attentionSubgroup,
  texture: attentionTexture,
  "two-pass": attentionMatrix,
  "one-pass": attentionOnePass,
};

/**
 * y = softmax(scale · q · kᵀ + bias) · v, per head and span: every attention of the model.
 *
 * The queries of a span attend to exactly its keys: the images of a batch are spans, texts of different lengths are
 * spans, and so are the scales of block-causal teacher forcing. A span without keys gives zeros. Softmax and sums are
 * f32.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, or something is not divisible by 4; `no-matrices`: the variant is
 * `two-pass` or `one-pass`, and the adapter has no matrices for it; `no-room`: it is `tiles`, and workgroup memory is
 * too small.
 */
export function attention(device: Device, args: AttentionArgs): void {
  checkArgs(args);
  const variant = args.variant ?? chooseVariant(device, args);
  LAUNCHERS[variant](device, args);
}

function checkArgs(args: AttentionArgs): void {
  const { k, v, y, spans, heads, headDim, bias } = args;
  const layout = Object.values(attentionLayout(args));
  if (headDim > 256 || [headDim, ...layout].some((n) => n % 4)) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend: head_dim ${headDim} must be ≤ 256, and it, strides and offsets ${layout} ` +
        `divisible by 4`,
    );
  }
  if (
    k.dtype !== v.dtype || spans.dtype !== "u32" || spans.shape[1] !== 4 ||
    y.elements % (heads * headDim)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend with k ${k.dtype}, v ${v.dtype}, spans ${spans.dtype} [${spans.shape}], ` +
        `y [${y.shape}]`,
    );
  }
  if (bias && bias.table.shape[1] !== heads) {
    throw new KernelError("bad-shape", `Cannot bias ${heads} heads by [${bias.table.shape}]`);
  }
}

/** The fastest variant that keeps a query's bits independent of the batch around it. */
function chooseVariant(device: Device, args: AttentionArgs): AttentionVariant {
  const { k, v, heads, headDim, maxQueries, rows = maxQueries } = args;
  const { subgroupSize, class: adapter, implementation } = device.capabilities;
  const take = (variant: AttentionVariant, reason: string) => {
    device.debug?.variant("attention", variant, reason);
    return variant;
  };
  // f32 keys must stay exact, and tensor cores would round them
  if (adapter === "gpu" && k.dtype === "f16" && attentionMatrices(device, headDim)) {
    const variant = onePass(device, headDim)
      ? variantOf(device, "attention matrix", rows)
      : "two-pass";
    return take(variant, "f16 keys on tensor cores");
  }
  if (adapter === "gpu" && fitsTiles(device, headDim)) {
    return take(variantOf(device, "attention", rows), "by the number of queries");
  }
  // Dawn refuses shuffles in a loop whose length it cannot prove uniform
  if (adapter !== "cpu" || implementation !== "wgpu" || subgroupSize === 0) {
    return take("workgroup", "needs no subgroups of a fixed size");
  }
  const bytes = k.byteLength + (k === v ? 0 : v.byteLength);
  const texels = bytes / (k.dtype === "f16" ? 8 : 16);
  if (texels > textureTexels(device)) {
    return take("subgroup", "keys and values exceed the largest texture");
  }
  const keys = k.elements / attentionLayout(args).kStride; // of all spans together
  // subgroup and texture add in the same order, so this choice may depend on the number of queries
  const flops = 4 * heads * headDim * maxQueries * keys;
  return take(variantOf(device, "attention operands", flops / bytes), "a software adapter");
}
