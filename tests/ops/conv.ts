/** Cases of kernels/conv. */

import { conv2d, type Conv2dArgs } from "../../kernels/conv/conv2d.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { conv2dBackward } from "../../kernels/conv/conv2d_backward.ts";
import type { WeightVariant } from "../../kernels/conv/conv2d_backward_args.ts";
import type { ConvTile } from "../../kernels/conv/conv2d_matrix.ts";
import { Tensor } from "../../engine/mod.ts";
import * as reference from "../kernels/conv/references.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { GPU_ONLY, NO_MATRICES, NO_TEXTURES } from "./linear.ts";
import { type Case, conversions, type Float, type Op, plain } from "./op.ts";

/** A way to convolve: which kernels it runs, how it is forced, and which sizes it is for. */
interface Way extends Pick<Op, "variant" | "runs" | "choices" | "obstacle"> {
  readonly force?: "vector" | "tiles" | ConvTile;
  readonly texture?: boolean;
  /** Fewest products of a sum: fewer are made in fewer parts. */
  readonly deep?: number;
}

const WAYS: readonly Way[] = [
  ...["8", "16", "32"].map((rows): Way => ({
    variant: `texture ${rows}`,
    runs: ["matmul_texture"],
    choices: { "matmul_texture patches": rows, "matmul_texture rows": rows },
    obstacle: NO_TEXTURES,
    texture: true,
  })),
  { variant: "vector", runs: ["conv2d"], obstacle: null, force: "vector" },
  ...["1", "2", "4", "8"].map((parts): Way => ({
    variant: `tiles, ${parts} parts`,
    runs: ["conv2d_tiles", ...parts === "1" ? [] : ["sum_parts"]],
    choices: { "conv2d_tiles parts": parts },
    obstacle: GPU_ONLY,
    force: "tiles",
    ...parts !== "1" && { deep: 256 * Number(parts) },
  })),
  ...(["middle", "large"] as const).map((tile): Way => ({
    variant: tile,
    runs: ["conv2d_matrix"],
    choices: { "conv2d_matrix": tile },
    obstacle: NO_MATRICES,
    force: tile,
  })),
];

const FORWARD = WAYS.flatMap((way) =>
  conversions((type, made) => {
    const rounds = way.runs.includes("conv2d_matrix");
    const rounding = rounds ? "f16" : made;
    const op = plain("conv2d", `${type}→${made}`, rounding, (draw) =>
      convolved(draw, way, type, made));
    return {
      ...op,
      variant: way.variant,
      runs: [...way.runs, "pack_conv"],
      ...way.choices && { choices: way.choices },
      // weights of f32 are never rounded
      obstacle: rounds && type === "f32" ? "never used" : way.obstacle ?? op.obstacle,
    };
  })
).filter(({ obstacle }) => obstacle !== "never used");

/** Kernels of the gradient by a weight, and of that by an input in steps of two pixels. */
const BACKWARD: Readonly<Record<WeightVariant, readonly string[]>> = {
  texture: ["conv2d_backward_texture", "conv2d_backward_sum", "conv2d_backward_fold"],
  product: ["conv2d_backward_unfold", "conv2d_backward_sum", "conv2d_backward_fold"],
};

export const CONV: readonly Op[] = [
  ...FORWARD,
  ...(["texture", "product"] as const).flatMap((variant) =>
    conversions((from, to) => {
      const op = plain("conv2d_backward", `${from}→${to}`, to, (draw) =>
        sentBack(draw, variant, from, to));
      return {
        ...op,
        variant,
        runs: BACKWARD[variant],
        special: {
          "steps of two pixels": (draw) =>
            sentBack(draw, variant, from, to, { stride: 2 }),
        },
        obstacle: op.obstacle ?? (variant === "texture" ? NO_TEXTURES : null),
      };
    })
  ),
];

/** How a convolution of a kernel reads H × W pixels. */
function geometry(draw: Draw, size: number, H: number, W: number) {
  return size === 1 ? {} : draw.of<Pick<Conv2dArgs, "stride" | "upsample" | "padding">>([
    {},
    {},
    { upsample: true },
    { stride: 2 },
    ...H > 1 && W > 1 ? [{ stride: 2, padding: "after" } as const] : [],
  ]);
}

function sentBack(
  draw: Draw,
  variant: WeightVariant,
  from: Float,
  to: Float,
  given?: ReturnType<typeof geometry>,
): Case {
  const size = given ? 3 : draw.option([1, 3, 3]);
  const C = draw.width(draw.size(40), draw.option([true, false]));
  const N = draw.width(draw.size(70, 32), draw.option([true, false]));
  const most = Math.max(1, Math.min(14, Math.floor(Math.sqrt(6e5 / (C * N * size ** 2)))));
  const B = draw.int(1, 3), H = draw.size(most, 4), W = draw.size(most, 4);
  const how = given ?? geometry(draw, size, H, W);
  const c: reference.Case = { x: [B, H, W, C], N, size, ...how };
  const [OH, OW] = reference.outputSize(c);
  const sums = Math.max(B * H * W * C, N * C * size * size);
  const x = draw.factors(draw.values(B * H * W * C, from), sums);
  const w = draw.factors(draw.values(N * C * size * size, from), sums);
  const dy = draw.factors(draw.values(B * OH * OW * N, from), sums);
  const add = draw.odds(0.5);
  const shapes = [[...c.x], [N, C, size, size], [N]];
  const before = shapes.map((shape, k) =>
    draw.factors(draw.values(shape.reduce((a, b) => a * b), k ? "f32" : to), sums)
  );
  const [dx, dweight, dbias] = shapes.map((shape, k) => {
    const dtype = k ? "f32" : to;
    return { tensor: add ? upload(dtype, shape, before[k]!) : poisoned(dtype, shape), add };
  });
  conv2dBackward(device, {
    x: upload(from, c.x, x),
    weight: upload("f32", shapes[1]!, w),
    dy: upload(from, [B, OH, OW, N], dy),
    dx: dx!,
    dweight: dweight!,
    dbias: dbias!,
    ...how,
    variant,
  });
  const all = reference.conv2dBackward(c, x, w, dy);
  return {
    shape: `[${c.x}] to ${N} channels, ${JSON.stringify({ size, ...how, add })}`,
    outputs: [dx!, dweight!, dbias!].map(({ tensor }, k) => ({
      tensor,
      expected: [all.dx, all.dw, all.db][k]!.map((v, i) => add ? v + before[k]![i]! : v),
    })),
  };
}

function convolved(draw: Draw, way: Way, type: Float, made: Float): Case {
  const size = way.deep ? 3 : draw.option([1, 3, 3]);
  const least = Math.ceil((way.deep ?? 0) / 9);
  const vectors = draw.option([true, false]);
  // tiles are compiled for a number of channels
  const channels = way.force === "tiles" ? draw.option([3, 16, 36, 70]) : draw.size(70);
  const C = draw.width(least ? least + draw.option([0, 5]) : channels, vectors);
  const N = draw.width(draw.size(least ? 40 : 140, 32), vectors);
  const B = draw.int(1, 2),
    most = Math.max(1, Math.min(14, Math.floor(Math.sqrt(6e5 / (C * N * size ** 2)))));
  const H = draw.size(most, 4), W = draw.size(most, 4);
  const how = geometry(draw, size, H, W);
  const c: reference.Case = { x: [B, H, W, C], N, size, ...how };
  const [OH, OW] = reference.outputSize(c);
  const from: Float = draw.option(device.capabilities.f16 ? ["f32", "f16"] : ["f32"]);
  const rounds = way.runs.includes("conv2d_matrix");
  const sums = B * OH * OW * N;
  const x = draw.factors(draw.values(B * H * W * C, rounds ? "f16" : from), sums);
  const w = draw.factors(draw.values(N * C * size * size, type), sums), bias = draw.values(N);
  const weight = upload("f32", [N, C, size, size], w);
  const texture = way.texture ?? false;
  const conv = packConv(device, weight, upload("f32", [N], bias), type, "weight", texture);
  const add = draw.odds(0.3), before = draw.values(B * OH * OW * N, made);
  const shape = [B, OH, OW, N];
  const tensor = add ? upload(made, shape, before) : poisoned(made, shape);
  const args: Conv2dArgs = {
    x: upload(from, c.x, x),
    conv,
    y: tensor,
    ...how,
    epilogue: add ? "add" : "none",
    ...way.force && { variant: way.force },
  };
  const expected = reference.conv2d(c, x, w, bias);
  if (add) expected.forEach((_, i) => expected[i]! += before[i]!);
  // some rows of an image, from those rows of x that they need
  const strip = size === 3 && !how.stride && !how.upsample && B === 1 && draw.odds(0.3)
    ? stripOf(draw, H)
    : null;
  if (strip) {
    const { first, count, begin, end } = strip;
    const part = upload(from, [1, end - begin, W, C], x.subarray(begin * W * C, end * W * C));
    conv2d(device, { ...args, x: part, strip: { image: 0, begin, first, count } });
    const inside = (i: number) => {
      const row = Math.floor(i / N / OW);
      return row >= first && row < first + count;
    };
    expected.forEach((_, i) => inside(i) || (expected[i] = add ? before[i]! : NaN));
  } else conv2d(device, args);
  const options = { size, ...how, add, from, strip: strip && [strip.first, strip.count] };
  return {
    shape: `[${c.x}] to ${N} channels, ${JSON.stringify(options)}`,
    outputs: [{ tensor, expected }],
    owned: conv.weight instanceof Tensor ? [] : [conv.weight],
  };
}

function stripOf(draw: Draw, H: number) {
  const first = draw.int(0, H - 1), count = draw.int(1, H - first);
  return { first, count, begin: Math.max(0, first - 1), end: Math.min(H, first + count + 1) };
}
