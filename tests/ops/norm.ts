/** Cases of kernels/norm. */

import { adaVectors } from "../../kernels/norm/ada_vectors.ts";
import { addGated } from "../../kernels/norm/add_gated.ts";
import { applyGroupNorm, groupNorm } from "../../kernels/norm/group_norm.ts";
import { groupNormMoments, type GroupNormVariant } from "../../kernels/norm/group_norm_moments.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import type { LayerNormVariant } from "../../kernels/norm/row_totals.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import * as reference from "../kernels/norm/references.ts";
import type { Draw } from "./draw.ts";
import { type Case, conversions, type Float, type Op, plain } from "./op.ts";

const { class: adapter, subgroups, subgroupSize } = device.capabilities;

/** How layerNorm() sums, and why not here. */
export const WAYS: Readonly<Record<LayerNormVariant, string | null>> = {
  workgroup: null,
  subgroup: adapter !== "cpu"
    ? "only software adapters use it"
    : !subgroups || !subgroupSize
    ? "no subgroups of a fixed size"
    : null,
  subgroups: adapter !== "gpu"
    ? "only GPUs use it"
    : !subgroups || !subgroupSize
    ? "no subgroups of a fixed size"
    : null,
};

/** Which kernels groupNorm() runs. */
const STATISTICS: Readonly<Record<GroupNormVariant, readonly string[]>> = {
  invocation: ["group_norm_stats", "group_norm_combine", "group_norm"],
  workgroup: ["group_norm_stats_workgroup", "group_norm_combine_workgroup", "group_norm"],
};

export const NORM: readonly Op[] = [
  plain("ada_vectors", "f32", "f32", vectors),
  ...conversions((from, to) =>
    plain("add_gated", `${from}→${to}`, to, (draw) => residual(draw, from, to))
  ),
  ...(Object.keys(WAYS) as LayerNormVariant[]).flatMap((variant): Op[] => {
    const by = (from: Float, to: Float, far: boolean): Op => ({
      ...plain(
        "layer_norm",
        `${from}→${to}${far ? " far" : ""}`,
        far ? "far" : to,
        (draw) => layers(draw, variant, from, to, far),
      ),
      variant,
      ...WAYS[variant] && { obstacle: WAYS[variant] },
      ...!far && { special: { "too large for f16": () => largeLayer(variant, from, to) } },
    });
    return [...conversions((from, to) => by(from, to, false)), by("f32", "f32", true)];
  }),
  ...(Object.keys(STATISTICS) as GroupNormVariant[]).flatMap((variant): Op[] => {
    const by = (from: Float, to: Float, far: boolean): Op => ({
      ...plain(
        "group_norm",
        `${from}→${to}${far ? " far" : ""}`,
        far ? "far" : to,
        (draw) => groups(draw, variant, from, to, far),
      ),
      variant,
      runs: STATISTICS[variant],
      ...!far && { special: { "too large for f16": () => largeGroup(variant, from, to) } },
    });
    return [...conversions((from, to) => by(from, to, false)), by("f32", "f32", true)];
  }),
];

function vectors(draw: Draw): Case {
  const D = draw.size(8), B = draw.int(1, 3), W = draw.multiple(4, 132);
  const shared = draw.values(B * W), gss = draw.values(D * W);
  const tensor = poisoned("f32", [D, B, W]);
  adaVectors(device, {
    shared: upload("f32", [B, W], shared),
    adaGss: upload("f32", [D, W], gss),
    y: tensor,
  });
  return {
    shape: `[${D}, ${B}, ${W}]`,
    outputs: [{ tensor, expected: reference.adaVectors(shared, gss, W) }],
  };
}

/** Sizes of a residual connection, and gates of each image, of all images, or none. */
export function drawGates(draw: Draw) {
  const C = draw.width(draw.size(60, 4), draw.option([true, false]));
  const images = draw.size(4), rows = draw.size(draw.odds(0.1) ? 200 : 30), M = images * rows;
  const kind = draw.of(["image", "image", "all", "none"]);
  const stride = kind === "image" ? C + draw.of([0, 4, 3]) : 0, offset = draw.of([0, 4, 1]);
  const vectors = draw.factors(draw.values(offset + images * (C + 4)), images * C);
  const shared = kind === "all" ? M : rows;
  const tensor = upload("f32", [vectors.length], vectors);
  const gate = kind === "none" ? undefined : { tensor, offset, stride, rows: shared };
  const at = (image: number, c: number) => offset + image * stride + c;
  const factor = (image: number, c: number) => gate ? vectors[at(image, c)]! : 1;
  const shape = `${images} images of [${rows}, ${C}], gates of ${kind}`;
  return { C, M, gate, vectors, shared, at, factor, shape };
}

function residual(draw: Draw, from: Float, to: Float): Case {
  const { C, M, gate, shared, factor, shape } = drawGates(draw);
  const x = draw.values(M * C, to), v = draw.values(M * C, from);
  const tensor = poisoned(to, [M, C]);
  addGated(device, {
    x: upload(to, [M, C], x),
    v: upload(from, [M, C], v),
    ...gate && { gate },
    y: tensor,
  });
  return { shape, outputs: [{ tensor, expected: reference.addGated(x, v, C, shared, factor) }] };
}

/** Numbers around a mean: within some deviations of it, or a thousand away. */
export function around(draw: Draw, count: number, dtype: Float, far: boolean): Float64Array {
  const mean = far ? 600 * draw.of([-1, 1]) : draw.of([0, 0, 1, -3]);
  const round = dtype === "f16" ? Math.f16round : Math.fround;
  return Float64Array.from({ length: count }, () => round(mean + draw.next() * 2 - 1));
}

function layers(draw: Draw, variant: LayerNormVariant, from: Float, to: Float, far: boolean): Case {
  // rows that one, some and no workgroup holds at once
  const C = draw.width(
    draw.odds(0.1) ? draw.int(2000, 4200) : far ? draw.int(64, 300) : draw.size(600, 32),
    draw.option([true, false]),
  );
  const M = draw.size(Math.max(1, Math.min(30, Math.floor(8000 / C))), 4);
  // few numbers may have nearly no variance, which divides the rounding of their mean
  const eps = C < 16 ? 1e-2 : draw.of([1e-3, 1e-6]), rms = draw.option([true, false]) && !far;
  const x = around(draw, M * C, from, far);
  const [weight, bias] = [0, 1].map(() => draw.option([true, false]) ? draw.values(C) : undefined);
  const modulated = draw.option([true, false]), rows = draw.int(1, M);
  const images = Math.ceil(M / rows), stride = 2 * C + draw.of([0, 4]);
  const table = draw.values(images * stride);
  const [scaleOffset, shiftOffset] = draw.odds(0.5) ? [0, C] : [C, 0];
  const tensor = poisoned(to, [M, C]);
  layerNorm(device, {
    x: upload(from, [M, C], x),
    y: tensor,
    eps,
    rms,
    variant,
    ...weight && { weight: upload("f32", [C], weight) },
    ...bias && { bias: upload("f32", [C], bias) },
    ...modulated && {
      modulation: {
        tensor: upload("f32", [images * stride], table),
        scaleOffset,
        shiftOffset,
        stride,
        rows,
      },
    },
  });
  const expected = reference.layerNorm(x, C, eps, {
    rms,
    weight,
    bias,
    ...modulated && {
      rows,
      scale: (image: number, c: number) => table[image * stride + scaleOffset + c]!,
      shift: (image: number, c: number) => table[image * stride + shiftOffset + c]!,
    },
  });
  const how = { rms, weight: !!weight, bias: !!bias, modulated, eps };
  return { shape: `[${M}, ${C}] ${JSON.stringify(how)}`, outputs: [{ tensor, expected }] };
}

/** What norms store beyond f16: weights of 1e5 make ±1e5 of ±1. */
const LARGE = { x: [1, -1, 1, -1, 1, -1, 1, -1], factor: 1e5 } as const;
const largest = (to: Float) => LARGE.x.map((v) => v * (to === "f16" ? 65504 : LARGE.factor));

function largeLayer(variant: LayerNormVariant, from: Float, to: Float): Case {
  const tensor = poisoned(to, [1, 8]);
  const weight = upload("f32", [8], new Float64Array(8).fill(LARGE.factor));
  layerNorm(device, { x: upload(from, [1, 8], LARGE.x), y: tensor, eps: 0, weight, variant });
  return {
    shape: `${LARGE.x} · 1e5`,
    outputs: [{ tensor, expected: largest(to), exact: to === "f16" }],
  };
}

function largeGroup(variant: GroupNormVariant, from: Float, to: Float): Case {
  const tensor = poisoned(to, [1, 2, 1, 4]);
  const weight = upload("f32", [4], new Float64Array(4).fill(LARGE.factor));
  groupNorm(device, {
    x: upload(from, [1, 2, 1, 4], LARGE.x),
    weight,
    bias: upload("f32", [4], new Float64Array(4)),
    y: tensor,
    groups: 1,
    eps: 0,
    variant,
  });
  return {
    shape: `${LARGE.x} · 1e5`,
    outputs: [{ tensor, expected: largest(to), exact: to === "f16" }],
  };
}

function groups(draw: Draw, variant: GroupNormVariant, from: Float, to: Float, far: boolean): Case {
  // GPUs compile for a number of channels
  const width = draw.option([1, 2, 3, 4, 8, 9]), number = 4 * draw.option([1, 2, 3, 8]);
  const C = draw.odds(0.02) && variant === "invocation" ? 1028 : width * number;
  const groups = C === 1028 ? 4 : number;
  const most = Math.max(1, Math.floor(12000 / C));
  const H = draw.size(Math.min(90, most)), W = draw.size(Math.max(1, Math.floor(most / H)));
  const one = draw.odds(0.6);
  const B = one ? 1 : draw.int(1, 3);
  // groups of few numbers may have nearly no variance
  const eps = H * W * C / groups < 16 ? 1e-2 : 1e-6;
  const x = around(draw, B * H * W * C, from, far);
  const weight = draw.values(C), bias = draw.values(C), activation = draw.option(["none", "silu"]);
  const expected = reference.groupNorm(
    x,
    [B, H * W, C],
    groups,
    weight,
    bias,
    activation === "silu",
    eps,
  );
  const tensors = { weight: upload("f32", [C], weight), bias: upload("f32", [C], bias) };
  const tensor = poisoned(to, [B, H, W, C]);
  const rows = draw.int(1, H);
  const banded = one && variant === "workgroup" && rows < H && draw.odds(0.7);
  if (banded) {
    const tops = Array.from({ length: Math.ceil(H / rows) }, (_, i) => i * rows);
    const bands = tops.map((top) => {
      const part = x.subarray(top * W * C, (top + rows) * W * C);
      return upload(from, [1, part.length / W / C, W, C], part);
    });
    const moments = groupNormMoments(device, { x: bands, ...tensors, groups, eps, variant });
    bands.forEach((band, i) => {
      const strip = { image: 0, begin: 0, rows: band.shape[1]!, to: tops[i]! };
      applyGroupNorm(device, { x: band, moments, ...tensors, y: tensor, activation, strip });
    });
  } else {
    const image = upload(from, [B, H, W, C], x);
    groupNorm(device, { x: image, ...tensors, y: tensor, groups, eps, activation, variant });
  }
  return {
    shape: `[${B}, ${H}, ${W}, ${C}] in ${groups} groups, ${activation}, eps ${eps}` +
      (banded ? `, in bands of ${rows} rows` : ""),
    outputs: [{ tensor, expected }],
  };
}
