/** Cases of kernels/elementwise. */

import { accumulate } from "../../kernels/elementwise/accumulate.ts";
import { activate } from "../../kernels/elementwise/activate.ts";
import { activateBackward } from "../../kernels/elementwise/activate_backward.ts";
import { checkFinite } from "../../kernels/elementwise/check_finite.ts";
import { fill } from "../../kernels/elementwise/fill.ts";
import { gatedGelu } from "../../kernels/elementwise/gated_gelu.ts";
import { gatedGeluBackward } from "../../kernels/elementwise/gated_gelu_backward.ts";
import { guide } from "../../kernels/elementwise/guide.ts";
import { padRows } from "../../kernels/elementwise/pad_rows.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import { rgba8 } from "../../kernels/elementwise/rgba8.ts";
import { widen } from "../../kernels/elementwise/widen.ts";
import { philox } from "../kernels/bits/references.ts";
import * as reference from "../kernels/elementwise/references.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { conversions, type Float, FLOATS, type Op, plain } from "./op.ts";
import { place } from "./place.ts";

/** Most elements of a case. */
const MOST = 4000;

export const ELEMENTWISE: readonly Op[] = [
  ...conversions((from, to) =>
    plain("accumulate", `${from}→${to}`, to, (draw) => accumulated(draw, from, to))
  ),
  ...conversions((from, to) =>
    plain("activate", `${from}→${to}`, to, (draw) => activated(draw, from, to))
  ),
  ...conversions((from, to) =>
    plain("activate_backward", `${from}→${to}`, to, (draw) => slopes(draw, from, to))
  ),
  plain("check_finite", "f32", "exact", checked),
  ...FLOATS.map((dtype) => plain("fill", dtype, "exact", (draw) => filled(draw, dtype))),
  ...conversions((from, to) => ({
    ...plain("gated_gelu", `${from}→${to}`, to, (draw) => gated(draw, from, to)),
    special: {
      "too large for f16, and not numbers": () => {
        const h = [1000, 1000, 1000, NaN, 1000, -1000, 60, 1];
        const y = poisoned(to, [1, 4]);
        gatedGelu(device, { h: upload(from, [1, 8], h), y });
        const large = to === "f16" ? 65504 : 1e6;
        return {
          shape: `[1, 8] ${h}`,
          outputs: [{ tensor: y, expected: [large, -large, 6e4, NaN], exact: to === "f16" }],
        };
      },
    },
  })),
  ...conversions((from, to) =>
    plain("gated_gelu_backward", `${from}→${to}`, to, (draw) => gatedBack(draw, from, to))
  ),
  plain("guide", "f32", "f32", guided),
  ...FLOATS.map((dtype) => plain("pad_rows", dtype, "exact", (draw) => padded(draw, dtype))),
  plain("random_normal", "f32", "sines", normal),
  plain("rgba8", "f32", "exact", pixels),
  ...(["F16", "BF16"] as const).map((from) =>
    plain("widen", from, "exact", (draw) => widened(draw, from))
  ),
];

function accumulated(draw: Draw, from: Float, to: Float) {
  const count = draw.size(MOST, 256);
  const add = draw.odds(0.5);
  const x = draw.values(count, from), before = draw.values(count, to);
  const y = add ? upload(to, [count], before) : poisoned(to, [count]);
  accumulate(device, upload(from, [count], x), { tensor: y, add });
  const expected = add ? x.map((v, i) => v + before[i]!) : x;
  return { shape: `[${count}] add ${add}`, outputs: [{ tensor: y, expected }] };
}

/** A vector, or the beginning of a longer one, whose rest nothing may write to. */
function beginning(draw: Draw, count: number, dtype: Float = "f32") {
  const rest = draw.odds(0.3) ? 7 : 0;
  const tensor = poisoned(dtype, [count + rest]);
  return {
    y: tensor.rows(0, count),
    output: (expected: Float64Array) => ({
      tensor,
      expected: Float64Array.from(
        { length: count + rest },
        (_, i) => i < count ? expected[i]! : NaN,
      ),
    }),
  };
}

function checked(draw: Draw) {
  const count = draw.size(MOST, 64);
  const x = draw.values(count);
  const bad = draw.odds(0.5);
  if (bad) x[draw.int(0, count - 1)] = draw.of([NaN, Infinity, -Infinity]);
  else x[draw.int(0, count - 1)] = draw.of([3.4e38, -3.4e38, 1e-45]);
  const before = draw.int(0, 1);
  const tensor = upload("u32", [1], [before]);
  checkFinite(device, { x: upload("f32", [count], x), nonFinite: tensor });
  return { shape: `[${count}]`, outputs: [{ tensor, expected: [bad ? 1 : before] }] };
}

function filled(draw: Draw, dtype: Float) {
  const count = draw.size(MOST, 64), value = draw.of([0, 1, -0.5, 60000]);
  const { y, output } = beginning(draw, count, dtype);
  fill(device, y, value);
  return { shape: `[${count}]`, outputs: [output(new Float64Array(count).fill(value))] };
}

function gated(draw: Draw, from: Float, to: Float) {
  const T = draw.size(70), F = draw.size(Math.floor(MOST / T), 64);
  const h = draw.values(T * 2 * F, from, 5);
  const tensor = poisoned(to, [T, F]);
  gatedGelu(device, { h: upload(from, [T, 2 * F], h), y: tensor });
  return {
    shape: `h [${T}, ${2 * F}]`,
    outputs: [{ tensor, expected: reference.gatedGelu(h, F) }],
  };
}

function guided(draw: Draw) {
  const B = draw.size(3), L = draw.size(40), C = draw.multiple(4, 64);
  const cfg = draw.of([1, 0, 3.5, -1, 7]);
  const x = draw.values(2 * B * L * C);
  const tensor = upload("f32", [2 * B, L, C], x);
  guide(device, { y: tensor, cfg });
  return {
    shape: `[${2 * B}, ${L}, ${C}] cfg ${cfg}`,
    outputs: [{ tensor, expected: reference.guide(x, cfg) }],
  };
}

function padded(draw: Draw, dtype: Float) {
  const K = 4 * draw.size(200) + draw.int(-3, -1), rows = draw.size(Math.ceil(MOST / K));
  const x = draw.values(rows * K, dtype);
  const tensor = padRows(device, upload(dtype, [rows, K], x), K)!;
  return {
    shape: `[${rows}, ${K}]`,
    // f16 becomes f32, and adapters may lose subnormal numbers there
    outputs: [{
      tensor,
      expected: reference.padRows(x, K),
      flushed: dtype === "f16" ? 2 ** -14 : 0,
    }],
  };
}

function normal(draw: Draw) {
  const count = draw.size(1000, 64), key = draw.int(0, 2 ** 32 - 1);
  const mean = draw.of([0, 0, -3]), deviation = draw.of([1, 0.02]);
  const { y, output } = beginning(draw, count);
  randomNormal(device, { y, key, mean, deviation });
  const expected = new Float64Array(Math.ceil(count / 4) * 4);
  for (let i = 0; i < count; i += 4) {
    const u = philox([i / 4, 0, 0, 0], [key, 0]).map((word) => (word >>> 8) / 2 ** 24);
    for (const [k, f] of [Math.cos, Math.sin].entries()) {
      for (const j of [0, 1]) {
        const radius = Math.sqrt(-2 * Math.log(1 - u[j]!));
        expected[i + 2 * k + j] = mean + deviation * radius * f(2 * Math.PI * u[2 + j]!);
      }
    }
  }
  return {
    shape: `[${count}] key ${key}, mean ${mean}, deviation ${deviation}`,
    outputs: [output(expected.subarray(0, count))],
  };
}

function pixels(draw: Draw) {
  const count = draw.size(1500, 64);
  const x = Float32Array.from({ length: 3 * count }, () => draw.next() * 2.4 - 1.2);
  // the threshold of a level, and its neighbours
  const edges = Float32Array.from({ length: count }, () => draw.int(0, 255) / 127.5 - 1);
  const words = new Int32Array(edges.buffer);
  words.forEach((_, i) => words[i]! += edges[i] === 0 ? 0 : draw.int(-2, 2));
  if (draw.odds(0.5)) x.set(edges);
  const tensor = poisoned("u32", [1, 1, count]);
  rgba8(device, { x: upload("f32", [1, 1, count, 3], x), y: tensor });
  return { shape: `${count} pixels`, outputs: [{ tensor, expected: reference.rgba8(x) }] };
}

const KINDS = ["gelu", "silu"] as const;

function activated(draw: Draw, from: Float, to: Float) {
  const count = draw.size(MOST, 64), scale = draw.of([1, 8, 90]), kind = draw.option(KINDS);
  const x = draw.values(count, from, scale);
  const { y, output } = beginning(draw, count, to);
  activate(device, { x: upload(from, [count], x), y, kind });
  return {
    shape: `${kind} of [${count}] up to ${scale}`,
    outputs: [output(x.map(reference.ACTIVATIONS[kind]))],
  };
}

function slopes(draw: Draw, from: Float, to: Float) {
  const count = draw.size(MOST, 64), scale = draw.of([1, 8, 90]), kind = draw.option(KINDS);
  const add = draw.odds(0.5);
  const x = draw.values(count, from, scale), dy = draw.values(count, to);
  const { gradient, output } = place(draw, to, count, add);
  activateBackward(device, {
    x: upload(from, [count], x),
    dy: upload(to, [count], dy),
    kind,
    dx: gradient,
  });
  const expected = x.map((v, i) => dy[i]! * reference.SLOPES[kind](v));
  return {
    shape: `${kind} of [${count}] up to ${scale}, add ${add}`,
    outputs: [output(expected)],
  };
}

function gatedBack(draw: Draw, from: Float, to: Float) {
  const T = draw.size(70), F = draw.size(Math.floor(MOST / T), 64), add = draw.odds(0.5);
  const h = draw.values(T * 2 * F, from, 5), dy = draw.values(T * F, from);
  const { gradient, output } = place(draw, to, T * 2 * F, add);
  gatedGeluBackward(device, {
    h: upload(from, [T, 2 * F], h),
    dy: upload(from, [T, F], dy),
    dh: gradient,
  });
  return {
    shape: `h [${T}, ${2 * F}], add ${add}`,
    outputs: [output(reference.gatedGeluBackward(h, dy, F))],
  };
}

function widened(draw: Draw, from: "F16" | "BF16") {
  const count = draw.size(MOST, 64);
  // any bits: infinite and subnormal numbers, NaN
  const words = Uint16Array.from({ length: Math.ceil(count / 2) * 2 }, () => draw.int(0, 65535));
  const x = new Uint32Array(words.buffer);
  const { y, output } = beginning(draw, count);
  widen(device, { x: upload("u32", [x.length], x), y, from });
  const flushed = from === "F16" ? 2 ** -14 : 2 ** -126;
  return {
    shape: `[${count}]`,
    outputs: [{ ...output(reference.widen(words, from, count)), flushed }],
  };
}
