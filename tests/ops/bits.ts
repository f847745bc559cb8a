/** Cases of kernels/bits. */

import type { TensorData } from "../../engine/mod.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { forceBits, FREE } from "../../kernels/bits/force_bits.ts";
import { nextInput } from "../../kernels/bits/next_input.ts";
import { quantiseBits } from "../../kernels/bits/quantise_bits.ts";
import { resample } from "../../kernels/bits/resample.ts";
import { resampleBackward } from "../../kernels/bits/resample_backward.ts";
import { sampleBits } from "../../kernels/bits/sample_bits.ts";
import * as reference from "../kernels/bits/references.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import { resize, resizeBackward, unshuffle } from "../kernels/images.ts";
import type { Draw } from "./draw.ts";
import { conversions, type Float, FLOATS, type Op, plain } from "./op.ts";

/** Where x is: CPUs copy large ones to a texture. */
const OPERANDS = ["buffer", "texture"] as const;
const NO_TEXTURE = device.capabilities.class === "cpu" ? null : "only software adapters use it";

export const BITS: readonly Op[] = [
  plain("accumulate_codes", "f32", "f32", accumulated),
  plain("force_bits", "u32", "exact", forcedBits),
  ...FLOATS.map((dtype): Op => ({
    ...plain("next_input", dtype, dtype, (draw) => input(draw, dtype)),
    runs: ["resample"],
  })),
  { ...plain("quantise_bits", "u32", "exact", quantised), runs: ["resample"] },
  ...OPERANDS.flatMap((operand) =>
    FLOATS.map((dtype): Op => {
      const op = plain("resample", dtype, dtype, (draw) => resampled(draw, operand, dtype));
      return {
        ...op,
        variant: operand,
        obstacle: operand === "texture" ? NO_TEXTURE : op.obstacle,
        ...operand === "buffer" &&
          { special: { "too large for f16, and not numbers": () => large(dtype) } },
      };
    })
  ),
  ...conversions((from, to) =>
    plain("resample_backward", `${from}→${to}`, to, (draw) => sentBack(draw, from, to))
  ),
  ...FLOATS.flatMap((dtype) =>
    (["greedy", "uniforms", "random"] as const).map((mode): Op => ({
      ...plain("sample_bits", dtype, "f32", (draw) => sampled(draw, mode, dtype)),
      variant: mode,
    }))
  ),
];

function accumulated(draw: Draw) {
  const patchify = draw.odds(0.4), B = draw.int(1, 3), dv = draw.size(32, 8);
  const d = patchify ? 4 * dv : dv;
  const [H, W] = [draw.size(24), draw.size(24)];
  const tensor = poisoned("f32", [B, H, W, dv]);
  const total = new Float64Array(B * H * W * dv);
  const scales = Array.from(
    { length: draw.int(1, 4) },
    () => [draw.size(20), draw.size(20)] as const,
  );
  const ways = scales.map(([h, w], s) => {
    const subtract = draw.odds(0.3);
    const bits = draw.bits(B * h * w * d);
    accumulateCodes(device, {
      bits: upload("u32", [B, h * w, d], bits),
      sum: tensor,
      height: h,
      width: w,
      first: s === 0,
      subtract,
      patchify,
    });
    const codes = reference.codes(bits, [B, h, w, d], [H, W], patchify);
    codes.forEach((v, i) => total[i]! += subtract ? -v : v);
    return `${subtract ? "-" : "+"}${h}x${w}`;
  });
  // against the sizes of codes, not what is left of them after a subtraction
  const size = Math.sqrt(total.length / dv), scale = Math.hypot(...total);
  const shape = `[${B}, ${H}, ${W}, ${dv}] ${ways}, patchify ${patchify}`;
  if (scale > size / 4) return { shape, outputs: [{ tensor, expected: total }] };
  const check = (read: TensorData) => {
    const error = Math.sqrt(total.reduce((sum, v, i) => sum + (read[i]! - v) ** 2, 0)) / size;
    return error <= 1e-5 ? null : `error ${error} of the size of codes`;
  };
  return { shape, outputs: [{ tensor, expected: total, check }] };
}

function forcedBits(draw: Draw) {
  const shape = [draw.int(1, 3), draw.size(60), draw.size(32)];
  const count = shape.reduce((a, b) => a * b);
  const before = draw.bits(count);
  const forced = Uint32Array.from({ length: count }, () => draw.of([0, 1, FREE]));
  const tensor = upload("u32", shape, before);
  forceBits(device, { forced: upload("u32", shape, forced), bits: tensor });
  return {
    shape: `[${shape}]`,
    outputs: [{ tensor, expected: before.map((bit, i) => forced[i]! < 2 ? forced[i]! : bit) }],
  };
}

/** Sizes of an image and of what it becomes. */
function sizes(draw: Draw) {
  return {
    B: draw.int(1, 3),
    H: draw.size(20),
    W: draw.size(20),
    C: draw.size(20, 4),
    h: draw.size(20),
    w: draw.size(20),
  };
}

function input(draw: Draw, dtype: Float) {
  const { B, H, W, C, h, w } = sizes(draw), patchify = draw.odds(0.4);
  const data = draw.values(B * H * W * C), x = { shape: [B, H, W, C], data };
  const tensor = poisoned(dtype, [B, h * w, patchify ? 4 * C : C]);
  const sum = upload("f32", x.shape, data);
  nextInput(device, { sum, y: tensor, height: h, width: w, patchify });
  const expected = patchify
    ? unshuffle(resize("linear", x, 2 * h, 2 * w))
    : resize("linear", x, h, w);
  return {
    shape: `[${x.shape}] to ${h}x${w}, patchify ${patchify}`,
    outputs: [{ tensor, expected: expected.data }],
  };
}

function quantised(draw: Draw) {
  const { B, H, W, C, h, w } = sizes(draw);
  // few bits each, so that f32 adds them exactly and no rounding decides about a sign
  const data = Float64Array.from({ length: B * H * W * C }, () => draw.int(-100, 100) / 64);
  const x = { shape: [B, H, W, C], data };
  const tensor = poisoned("u32", [B, h * w, C]);
  quantiseBits(device, { x: upload("f32", x.shape, data), bits: tensor, height: h, width: w });
  // sums of float64 are exact, too; the weights of a mean are not
  const mean = resize("area", { ...x, data: data.map((v) => v * 2 ** 20) }, h, w).data;
  return {
    shape: `[${x.shape}] to ${h}x${w}`,
    outputs: [{ tensor, expected: mean.map((v) => Number(v > 1e-3)) }],
  };
}

function resampled(draw: Draw, operand: (typeof OPERANDS)[number], dtype: Float) {
  const mode = draw.of(["area", "linear"]);
  const small = sizes(draw);
  const { B, H, W } = small;
  // as many as CPUs take a texture from, or fewer
  const C = operand === "texture" ? draw.multiple(4, 16) : small.C;
  const least = operand === "texture" ? Math.ceil(Math.sqrt(2048 * 4 / B / C)) : 1;
  const [h, w] = operand === "texture"
    ? [draw.int(least, least + 20), draw.int(least, least + 20)]
    : [small.h, small.w];
  // stacked squares are single elements, which no texture serves
  const stacked = operand === "buffer" && draw.odds(0.3);
  const data = draw.values(B * H * W * C), x = { shape: [B, H, W, C], data };
  const side = stacked ? 2 : 1;
  const width = C * side * side;
  // on its own, or as some of the rows of an image
  const placed = draw.odds(0.3), first = placed ? draw.int(0, 5) : 0;
  const rows = first + h * w + (placed ? draw.int(0, 5) : 0);
  const tensor = poisoned(dtype, placed ? [B, rows, width] : [B, h, w, width]);
  resample(device, {
    x: upload("f32", x.shape, data),
    y: tensor,
    mode,
    unshuffle: stacked,
    ...placed && { place: { height: h, width: w, first } },
  });
  const made = resize(mode, x, h * side, w * side);
  const result = (stacked ? unshuffle(made) : made).data;
  const expected = Float64Array.from({ length: B * rows * width }, (_, i) => {
    const row = Math.floor(i / width) % rows - first;
    const image = Math.floor(i / width / rows);
    return row < 0 || row >= h * w ? NaN : result[(image * h * w + row) * width + i % width]!;
  });
  return {
    shape: `${mode} [${x.shape}] to ${h}x${w} in [${tensor.shape}] from ${first} on`,
    outputs: [{ tensor, expected }],
  };
}

/** Copies what f16 does not hold. */
function large(dtype: Float) {
  const tensor = poisoned(dtype, [1, 2, 1, 4]);
  const x = [1e6, -1e6, 65504, 1, NaN, Infinity, -Infinity, 0];
  resample(device, { x: upload("f32", [1, 2, 1, 4], x), y: tensor, mode: "area" });
  const most = dtype === "f16" ? 65504 : 1e6;
  return {
    shape: `${x}`,
    outputs: [{ tensor, expected: [most, -most, ...x.slice(2)], exact: true }],
  };
}

function sentBack(draw: Draw, from: Float, to: Float) {
  const mode = draw.of(["area", "linear"] as const), add = draw.odds(0.5);
  const { B, H, W, C, h, w } = sizes(draw);
  const data = draw.values(B * h * w * C, from), before = draw.values(B * H * W * C, to);
  const shape = [B, H, W, C];
  const tensor = add ? upload(to, shape, before) : poisoned(to, shape);
  const dy = upload(from, [B, h, w, C], data);
  resampleBackward(device, { dy, dx: { tensor, add }, mode });
  const expected = resizeBackward(mode, { shape: [B, h, w, C], data }, H, W).data;
  if (add) expected.forEach((_, i) => expected[i]! += before[i]!);
  return {
    shape: `${mode} [${dy.shape}] to [${shape}], add ${add}`,
    outputs: [{ tensor, expected }],
  };
}

function sampled(draw: Draw, mode: "greedy" | "uniforms" | "random", dtype: Float) {
  const B = draw.int(1, 3), L = draw.size(40), d = draw.size(32), mixed = draw.odds(0.5);
  const count = B * L * d, rows = mixed ? 2 * B : B;
  const cfg = draw.of([1, 3.7, -0.5]), tau = draw.of([1, 0.6, 2]);
  const topK = draw.of([0, 1, 2, 900]), topP = draw.of([0, 0.3, 0.7, 0.97, 1]);
  const scale = draw.int(0, 12);
  const x = draw.values(rows * L * d, dtype, draw.of([1, 6]));
  const broken = draw.odds(0.2), before = draw.int(0, 1);
  if (broken) x[draw.int(0, x.length - 1)] = draw.of([NaN, Infinity, -Infinity]);
  const seeds = Array.from({ length: B }, () => BigInt(draw.int(0, 2 ** 52)) * 1021n);
  const uniforms = Float64Array.from(
    { length: count },
    (_, i) =>
      mode === "random"
        ? reference.uniformOf(seeds[Math.floor(i / L / d)]!, scale, Math.floor(i / d) % L, i % d)
        : draw.int(0, 2 ** 24 - 1) / 2 ** 24,
  );
  const bits = poisoned("u32", [B, L, d]), deltaOut = poisoned("f32", [B, L, d]);
  const nonFinite = upload("u32", [1], [before]);
  sampleBits(device, {
    delta: upload(dtype, [rows, L, d], x),
    bits,
    batch: B,
    guided: mixed,
    cfg,
    tau,
    topK,
    topP,
    mode,
    scale,
    nonFinite,
    deltaOut,
    ...mode === "random" && {
      seeds: upload(
        "u32",
        [B, 2],
        seeds.flatMap((s) => [Number(s & 0xffffffffn), Number(s >> 32n)]),
      ),
    },
    ...mode === "uniforms" && { uniforms: upload("f32", [B, L, d], uniforms) },
  });
  const z = reference.guided(x, { mixed, cfg, tau });
  const largest = Math.max(...x.map((v) => Number.isFinite(v) ? Math.abs(v) : 0));
  // a bit is free where roundings decide: near ties, cuts and thresholds
  const check = (read: TensorData) => {
    for (let i = 0; i < count; i++) {
      if (!Number.isFinite(z[i]!)) continue;
      const [below, above] = [-1, 1].map((side) =>
        reference.probability(z[i]! + side * 2e-6 * largest * (1 + Math.abs(cfg)) / tau, topK, topP)
      );
      const u = mode === "greedy" ? 0.5 : uniforms[i]!;
      const allowed = [below! - 1e-6, above! + 1e-6].map((p) => Number(u < p));
      if (!allowed.includes(read[i]!)) return `bit ${i} of ${z[i]} is ${read[i]}, not ${allowed}`;
    }
    return null;
  };
  // what is not finite may become NaN or stay, by the weights of guidance
  const free = (read: TensorData) => {
    for (let i = 0; i < count; i++) {
      const error = Math.abs(read[i]! - z[i]!);
      if (Number.isFinite(z[i]!) && !(error <= 1e-5 * largest * (1 + Math.abs(cfg)) / tau)) {
        return `difference ${i} is ${read[i]}, not ${z[i]}`;
      }
    }
    return null;
  };
  const how = { mixed, cfg, tau, topK, topP, scale, broken };
  return {
    shape: `[${B}, ${L}, ${d}] ${JSON.stringify(how)}`,
    outputs: [
      { tensor: bits, expected: [], check },
      { tensor: deltaOut, expected: z, ...broken && { check: free } },
      { tensor: nonFinite, expected: [broken ? 1 : before] },
    ],
  };
}
