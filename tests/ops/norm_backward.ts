/** Cases of the backward passes of kernels/norm. */

import { addGatedBackward } from "../../kernels/norm/add_gated_backward.ts";
import { groupNormBackward } from "../../kernels/norm/group_norm_backward.ts";
import { groupNormMoments } from "../../kernels/norm/group_norm_moments.ts";
import { layerNormBackward } from "../../kernels/norm/layer_norm_backward.ts";
import type { LayerNormVariant } from "../../kernels/norm/row_totals.ts";
import { device, upload } from "../kernels/harness.ts";
import * as reference from "../kernels/norm/references.ts";
import type { Draw } from "./draw.ts";
import { around, drawGates, WAYS } from "./norm.ts";
import { type Case, conversions, type Float, type Op, plain } from "./op.ts";
import { place } from "./place.ts";

export const NORM_BACKWARD: readonly Op[] = [
  ...conversions((from, to) =>
    plain("add_gated_backward", `${from}→${to}`, to, (draw) => residualBackward(draw, from, to))
  ),
  ...(Object.keys(WAYS) as LayerNormVariant[]).flatMap((variant) =>
    conversions((from, to) => ({
      ...plain(
        "layer_norm_backward",
        `${from}→${to}`,
        to,
        (draw) => layersBackward(draw, variant, from, to),
      ),
      runs: ["layer_norm_backward", "layer_norm_backward_sums"],
      variant,
      ...WAYS[variant] && { obstacle: WAYS[variant] },
    }))
  ),
  ...conversions((from, to) => ({
    ...plain("group_norm_backward", `${from}→${to}`, to, (draw) => groupsBackward(draw, from, to)),
    runs: ["group_norm_backward_sums", "group_norm_backward_shares", "group_norm_backward"],
  })),
];

function residualBackward(draw: Draw, from: Float, to: Float): Case {
  const { C, M, gate, vectors, shared, at: placeOf, factor, shape } = drawGates(draw);
  const add = draw.odds(0.5), groups = M / shared * C;
  const dy = draw.factors(draw.values(M * C, from), groups);
  const v = draw.factors(draw.values(M * C, to), groups);
  const dv = place(draw, to, M * C, add);
  const dgate = upload("f32", [vectors.length], vectors);
  addGatedBackward(device, {
    dy: upload(from, [M, C], dy),
    v: upload(to, [M, C], v),
    dv: dv.gradient,
    ...gate && { gate, dgate: { tensor: dgate, add } },
  });
  const expected = reference.addGatedBackward(dy, v, C, shared, factor);
  const sums = vectors.slice();
  if (gate) {
    expected.dgate.forEach((d, i) => {
      const at = placeOf(Math.floor(i / C), i % C);
      sums[at] = d + (add ? vectors[at]! : 0);
    });
  }
  return {
    shape: `${shape}, add ${add}`,
    outputs: [
      dv.output(expected.dv),
      { tensor: dgate, expected: sums },
    ],
  };
}

/** Every gradient of a norm that its options allow, of dy as stored in `from`, x and dx in `to`. */
function layersBackward(draw: Draw, variant: LayerNormVariant, from: Float, to: Float): Case {
  const C = draw.width(
    draw.odds(0.1) ? draw.int(2000, 4200) : draw.size(600, 32),
    draw.option([true, false]),
  );
  const M = draw.size(Math.max(1, Math.min(80, Math.floor(8000 / C))), 4);
  const eps = C < 16 ? 1e-2 : 1e-3, rms = draw.option([true, false]);
  const x = around(draw, M * C, to, false), dy = around(draw, M * C, from, false);
  const [weight, bias] = [0, 1].map(() => draw.option([true, false]) ? draw.values(C) : undefined);
  const modulated = draw.option([true, false]), rows = draw.int(1, M);
  const images = Math.ceil(M / rows), stride = 2 * C + draw.of([0, 4]);
  const table = draw.values(images * stride), add = draw.option([true, false]);
  const [scaleOffset, shiftOffset] = draw.odds(0.5) ? [0, C] : [C, 0];
  const dx = place(draw, to, M * C, add),
    dweight = place(draw, "f32", C, add),
    dbias = place(draw, "f32", C, add);
  const dmodulation = place(draw, "f32", images * stride, add);
  layerNormBackward(device, {
    x: upload(to, [M, C], x),
    dy: upload(from, [M, C], dy),
    eps,
    rms,
    variant,
    ...weight && { weight: upload("f32", [C], weight), dweight: dweight.gradient },
    ...bias && { bias: upload("f32", [C], bias), dbias: dbias.gradient },
    ...modulated && {
      modulation: {
        tensor: upload("f32", [images * stride], table),
        scaleOffset,
        shiftOffset,
        stride,
        rows,
      },
      dmodulation: dmodulation.gradient,
    },
    dx: dx.gradient,
  });
  const expected = reference.layerNormBackward(x, dy, C, eps, {
    rms,
    weight,
    bias,
    ...modulated && {
      rows,
      scale: (image: number, c: number) => table[image * stride + scaleOffset + c]!,
      shift: (image: number, c: number) => table[image * stride + shiftOffset + c]!,
    },
  });
  const untouched = add ? 0 : NaN;
  const vectors = Float64Array.from({ length: images * stride }, (_, i) => {
    const image = Math.floor(i / stride), at = i % stride;
    if (at >= 2 * C) return untouched;
    return (at < C === (scaleOffset === 0) ? expected.dscale : expected.dshift)[
      image * C + at % C
    ]!;
  });
  const how = { rms, weight: !!weight, bias: !!bias, modulated, rows, add };
  return {
    shape: `[${M}, ${C}] ${JSON.stringify(how)}`,
    outputs: [
      dx.output(expected.dx),
      ...weight ? [dweight.output(expected.dweight)] : [],
      ...bias ? [dbias.output(expected.dbias)] : [],
      ...modulated ? [dmodulation.output(vectors)] : [],
    ],
  };
}

/** Every gradient of a GroupNorm, of x and dy as stored in `from`. */
function groupsBackward(draw: Draw, from: Float, to: Float): Case {
  const width = draw.option([1, 2, 3, 4, 8, 9]), groups = 4 * draw.option([1, 2, 3, 8]);
  const C = width * groups, most = Math.max(1, Math.floor(12000 / C));
  const H = draw.size(Math.min(90, most)), W = draw.size(Math.max(1, Math.floor(most / H)));
  const B = draw.odds(0.6) ? 1 : draw.int(1, 3), count = B * H * W * C;
  // groups of few numbers may have nearly no variance
  const eps = H * W * C / groups < 16 ? 1e-2 : 1e-3;
  const x = around(draw, count, from, false), dy = around(draw, count, from, false);
  const weight = draw.values(C), bias = draw.values(C), activation = draw.option(["none", "silu"]);
  const add = draw.odds(0.5);
  const dx = place(draw, to, count, add),
    dweight = place(draw, "f32", C, add),
    dbias = place(draw, "f32", C, add);
  const tensors = { weight: upload("f32", [C], weight), bias: upload("f32", [C], bias) };
  const image = upload(from, [B, H, W, C], x);
  using moments = groupNormMoments(device, { x: image, weight: tensors.weight, groups, eps });
  groupNormBackward(device, {
    x: image,
    dy: upload(from, [B, H, W, C], dy),
    moments,
    ...tensors,
    groups,
    activation,
    dx: dx.gradient,
    dweight: dweight.gradient,
    dbias: dbias.gradient,
  });
  const silu = activation === "silu";
  const expected = reference.groupNormBackward(
    ...[x, dy, [B, H * W, C], groups, weight, bias, silu, eps] as const,
  );
  return {
    shape: `[${B}, ${H}, ${W}, ${C}] in ${groups} groups, ${activation}, add ${add}`,
    outputs: [
      dx.output(expected.dx),
      dweight.output(expected.dweight),
      dbias.output(expected.dbias),
    ],
  };
}
