/** Cases of kernels/linear. */

import { Tensor } from "../../engine/mod.ts";
import { columnSums } from "../../kernels/linear/column_sums.ts";
import { dequantise } from "../../kernels/linear/dequantise.ts";
import type { Epilogue } from "../../kernels/linear/epilogue.ts";
import { type Linear, packLinear } from "../../kernels/linear/linear.ts";
import { matmul, type MatmulVariant } from "../../kernels/linear/matmul.ts";
import { matmulBackward } from "../../kernels/linear/matmul_backward.ts";
import { matmulTiles } from "../../kernels/linear/matmul_tiles.ts";
import type { Product } from "../../kernels/linear/product.ts";
import { sumParts } from "../../kernels/linear/sum_parts.ts";
import { transpose } from "../../kernels/linear/transpose.ts";
import {
  isQuantised,
  QUANTISED_TYPES,
  quantisedBytes,
  type QuantisedType,
  WEIGHT_TYPES,
  type WeightType,
} from "../../kernels/linear/weight_types.ts";
import { usesTexture } from "../../kernels/shared/textures.ts";
import { matrixShape, TILES } from "../../kernels/shared/matrix.ts";
import { quantise } from "../../model/checkpoint/quantised_blocks.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import * as reference from "../kernels/linear/references.ts";
import type { Draw } from "./draw.ts";
import { type Case, conversions, type Float, FLOATS, type Op, type Output, plain } from "./op.ts";

/** A way to multiply: which kernels it runs, how it is forced, and which sizes it is for. */
interface Way extends Pick<Op, "variant" | "runs" | "choices" | "obstacle"> {
  readonly launch: (product: Product) => void;
  /** Whether weights are in a texture. */
  readonly texture?: boolean;
  /** Whether factors are rounded to f16. */
  readonly rounds?: boolean;
  /** Most rows, and k and n, of a case; few where software adapters compute slowly. */
  readonly most: readonly [M: number, K: number, N: number];
}

export const GPU_ONLY = device.capabilities.class === "gpu" ? null : "only GPUs use it";
export const NO_TEXTURES = usesTexture(device) ? null : "only software adapters use it";
export const NO_MATRICES = GPU_ONLY ??
  (matrixShape(device) ? null : "no subgroup matrices of f16");

const by = (variant: MatmulVariant) => (product: Product) =>
  matmul(device, { ...product, variant });

const WAYS: readonly Way[] = [
  ...["8", "16", "32"].map((rows): Way => ({
    variant: `texture ${rows}`,
    runs: ["matmul_texture"],
    choices: { "matmul_texture rows": rows },
    obstacle: NO_TEXTURES,
    launch: (product) => matmul(device, product),
    texture: true,
    most: [70, 300, 150],
  })),
  {
    variant: "vector",
    runs: ["matmul"],
    obstacle: null,
    launch: by("vector"),
    most: [40, 200, 70],
  },
  {
    variant: "rows",
    runs: ["matmul_rows"],
    choices: {
      "matmul": "rows",
      "matmul_matrix shallow": "rows",
      "matmul_matrix deep": "rows",
    },
    obstacle: GPU_ONLY,
    launch: by("rows"),
    most: [20, 600, 150],
  },
  ...["1", "2", "4", "8"].map((parts): Way => ({
    variant: `tiles, ${parts} parts`,
    runs: ["matmul_tiles", ...parts === "1" ? [] : ["sum_parts"]],
    choices: {
      "matmul": "tiles",
      "matmul_tiles parts": parts,
      "matmul_tiles parts, deep": parts,
    },
    obstacle: GPU_ONLY,
    launch: (product) => matmulTiles(device, product, Number(parts)),
    most: [80, 300, 150],
  })),
  ...(Object.keys(TILES) as (keyof typeof TILES)[]).map((tile): Way => ({
    variant: tile,
    runs: ["matmul_matrix", ...TILES[tile].split > 1 ? ["sum_parts"] : []],
    choices: { "matmul_matrix shallow": tile, "matmul_matrix deep": tile },
    obstacle: NO_MATRICES,
    launch: by(tile),
    rounds: true,
    most: [140, 300, 150],
  })),
];

export const LINEAR: readonly Op[] = [
  ...FLOATS.map((dtype) =>
    plain("column_sums", dtype, "f32", (draw) => summedColumns(draw, dtype))
  ),
  ...QUANTISED_TYPES.map((type) =>
    plain("dequantise", type, "exact", (draw) => unpacked(draw, type))
  ),
  ...WEIGHT_TYPES.map((type): Op => ({
    ...plain("linear", type, "exact", (draw) => packed(draw, type)),
    runs: [isQuantised(type) ? "pack_quantised" : "transpose"],
  })),
  ...WAYS.flatMap((way) =>
    WEIGHT_TYPES.flatMap((type) =>
      // weights of f32 are never rounded
      way.rounds && type === "f32" ? [] : FLOATS.map((made): Op => {
        const rounding = way.rounds ? "f16" : made;
        const op = plain(
          "matmul",
          `${type}→${made}`,
          rounding,
          (draw) => multiplied(draw, way, type, made),
        );
        return {
          ...op,
          variant: way.variant,
          runs: way.runs,
          ...way.choices && { choices: way.choices },
          obstacle: way.obstacle ?? op.obstacle,
          special: { "too large for f16, and not numbers": () => large(way, type, made) },
        };
      })
    )
  ),
  ...FLOATS.map((dtype): Op => ({
    ...plain("matmul_backward", dtype, dtype, (draw) => sentBack(draw, dtype)),
    runs: ["transpose", "column_sums"],
  })),
  ...FLOATS.map((dtype) => plain("sum_parts", dtype, dtype, (draw) => summed(draw, dtype))),
  ...conversions((from, to) =>
    plain("transpose", `${from}→${to}`, "exact", (draw) => transposed(draw, from, to))
  ),
];

/** Weights [N, K] of very different sizes, with blocks of zeros and ties. */
function weights(draw: Draw, N: number, K: number): Float64Array {
  const sizes = [1, 1, 1, 1e-2, 1e-5, 0, 30, 1e-7];
  const ties = draw.odds(0.3);
  const w = draw.values(N * K);
  return w.map((v, i) => {
    // the scale of a block of q4_0 is half a unit of f16 from two numbers
    if (ties && i % K % 32 === 0) return -8 - draw.int(0, 99) * 2 ** -7 - 2 ** -8;
    const size = sizes[(Math.floor(i / K) + (i % K >> 5)) % sizes.length]!;
    return Math.fround(ties ? Math.floor(v * 15) / 2 : v * size);
  });
}

/** Weights as they are stored, and what they count as. */
export function asStored(w: Float64Array, K: number, type: WeightType): Float64Array {
  if (type === "f32") return w;
  if (type === "f16") return w.map(Math.f16round);
  const { bytes, scales } = quantise(Float32Array.from(inBlocks(w, K)), type);
  const blocks = Math.ceil(K / 32) * 32;
  const all = reference.dequantise(bytes, scales, w.length / K * blocks, type);
  return w.map((_, i) => all[Math.floor(i / K) * blocks + i % K]!);
}

/** Rows of K, padded with zeros to whole blocks. */
function inBlocks(w: Float64Array, K: number): Float64Array {
  const blocks = Math.ceil(K / 32) * 32;
  return Float64Array.from({ length: w.length / K * blocks }, (_, i) => {
    const k = i % blocks;
    return k < K ? w[Math.floor(i / blocks) * K + k]! : 0;
  });
}

function unpacked(draw: Draw, type: QuantisedType): Case {
  const N = draw.size(60), K = 32 * draw.size(20, 4), count = N * K;
  const bytes = Uint8Array.from({ length: quantisedBytes(type, count) }, () => draw.int(0, 255));
  const scales = new Float16Array(Math.ceil(count / 64) * 2);
  scales.forEach((_, i) => scales[i] = (draw.next() * 2 - 1) * 10 ** draw.int(-6, 3));
  const [x, s] = [new Uint32Array(bytes.buffer), new Uint32Array(scales.buffer)];
  const tensor = poisoned("f32", [N, K]);
  dequantise(device, {
    x: upload("u32", [x.length], x),
    scales: upload("u32", [s.length], s),
    y: tensor,
    type,
  });
  const expected = reference.dequantise(bytes, scales, count, type);
  // scales below 2⁻¹⁴ are subnormal f16
  return { shape: `[${N}, ${K}]`, outputs: [{ tensor, expected, flushed: 128 * 2 ** -14 }] };
}

function packed(draw: Draw, type: WeightType): Case {
  const N = draw.size(60), K = draw.size(200, 32), columns = Math.ceil(N / 4) * 4;
  const w = type === "f16" ? draw.values(N * K, "f16") : weights(draw, N, K);
  const linear = packLinear(device, [upload("f32", [N, K], w)], null, type, "test", false);
  const shape = `[${N}, ${K}]`;
  if (!(linear.weight instanceof Tensor)) throw new Error("a texture");
  if (!isQuantised(type)) {
    const depth = linear.weight.elements / columns;
    const expected = Float64Array.from({ length: depth * columns }, (_, i) => {
      const [k, n] = [Math.floor(i / columns), i % columns];
      return k < K && n < N ? w[n * K + k]! : 0;
    });
    const flushed = type === "f16" ? 2 ** -14 : 0;
    return { shape, outputs: [{ tensor: linear.weight, expected, flushed }] };
  }
  const blocks = Math.ceil(K / 32);
  const { bytes, scales } = quantise(Float32Array.from(inBlocks(w, K)), type);
  const bits = new Uint16Array(scales.buffer, scales.byteOffset, scales.length);
  const rows = type === "q8_0" ? 1 : 2; // of k in a byte
  const across = linear.weight.elements * 4 / (32 * blocks / rows);
  const zero = type === "q8_0" ? 0 : 0x88;
  const words = Uint8Array.from({ length: across * 32 * blocks / rows }, (_, i) => {
    const [k, n] = [Math.floor(i / across), i % across];
    return n < N ? bytes[n * 32 * blocks / rows + k]! : zero;
  });
  const halves = Uint16Array.from({ length: blocks * columns }, (_, i) => {
    const [block, n] = [Math.floor(i / columns), i % columns];
    return n < N ? bits[n * blocks + block]! : zero && 0x8000; // 0 / EXTREME, which is negative
  });
  return {
    shape,
    outputs: [
      { tensor: linear.weight, expected: new Uint32Array(words.buffer) },
      { tensor: linear.scales!, expected: new Uint32Array(halves.buffer) },
    ],
  };
}

/** What belongs to a packed weight, but is not a tensor with guards. */
const textureOf = ({ weight }: Linear) => weight instanceof Tensor ? [] : [weight];

function multiplied(draw: Draw, way: Way, type: WeightType, made: Float): Case {
  const [mostM, mostK, mostN] = way.most;
  const deep = draw.odds(0.04);
  const epilogue = draw.option<Epilogue>(["none", "none", "gelu", "silu", "add", "gate"]);
  const from = draw.option(device.capabilities.f16 ? FLOATS : ["f32"]);
  const vectors = draw.option([true, false]), biased = draw.option([true, false]);
  const M = draw.size(deep ? 4 : mostM, 32);
  const K = draw.width(deep ? draw.int(2048, 5000) : draw.size(mostK, 32), vectors);
  const N = draw.width(draw.size(deep ? 70 : mostN, 32), vectors || epilogue === "gate");
  const x = draw.factors(draw.values(M * K, way.rounds ? "f16" : from), M * N);
  const w = draw.factors(
    isQuantised(type) ? weights(draw, N, K) : draw.values(N * K, type),
    M * N,
  );
  const bias = biased && epilogue !== "gate" ? draw.values(N) : null;
  const width = 2 * N, perGate = draw.int(1, M), gateRows = Math.ceil(M / perGate);
  const gates = draw.values(gateRows * width), before = draw.values(M * N, made);
  const offset = draw.of([0, N]);
  const padded = bias && upload("f32", [N], bias);
  const linear = packLinear(
    device,
    [upload("f32", [N, K], w)],
    padded,
    type,
    "test",
    way.texture ?? false,
  );
  const adds = epilogue === "add" || epilogue === "gate";
  const tensor = adds ? upload(made, [M, N], before) : poisoned(made, [M, N]);
  way.launch({
    x: upload(from, [M, K], x),
    linear,
    y: tensor,
    epilogue,
    ...epilogue === "gate" && {
      gate: {
        tensor: upload("f32", [gateRows, width], gates),
        offset,
        stride: width,
        rows: perGate,
      },
    },
  });
  const sums = reference.matmul(x, asStored(w, K, type), bias, M, K, N);
  const expected = reference.epilogue(sums, N, epilogue, {
    before,
    gates,
    gateAt: (m, n) => Math.floor(m / perGate) * width + offset + n,
  });
  return {
    shape: `[${M}, ${K}, ${N}] of ${from}, ${epilogue}${bias ? " and bias" : ""}`,
    outputs: [{ tensor, expected }],
    owned: textureOf(linear),
  };
}

/** Sums beyond f16, and rows that hold NaN and infinite numbers: neither may spread to other rows. */
function large(way: Way, type: WeightType, made: Float): Case {
  const [K, N] = [32, 4];
  const rows = [30000, -30000, NaN, Infinity, -Infinity, 1];
  const x = rows.flatMap((v) => [v, ...new Array<number>(K - 1).fill(v === 1 ? 1 : 0)]);
  const w = new Float64Array(N * K);
  // the extreme of a block, under a scale of 1
  const weight = { f32: 16, f16: 16, q8_0: 127, q4_0: -8 }[type];
  for (let n = 0; n < N; n++) w[n * K] = weight;
  const linear = packLinear(
    device,
    [upload("f32", [N, K], w)],
    null,
    type,
    "test",
    way.texture ?? false,
  );
  const tensor = poisoned(made, [rows.length, N]);
  way.launch({ x: upload("f32", [rows.length, K], x), linear, y: tensor });
  const most = made === "f16" ? 65504 : Infinity;
  const expected = rows.flatMap((v) => {
    const sum = weight * v;
    const kept = Number.isFinite(sum) ? Math.max(-most, Math.min(most, sum)) : sum;
    return new Array<number>(N).fill(kept);
  });
  return {
    shape: `${rows} · ${weight}`,
    outputs: [{ tensor, expected, exact: true }],
    owned: textureOf(linear),
  };
}

function summed(draw: Draw, dtype: Float): Case {
  const S = draw.of([1, 2, 4, 8]), M = draw.size(70), first = draw.of([0, 0, 3]);
  const epilogue = draw.option<Epilogue>(["none", "gelu", "silu", "add", "gate"]);
  const N = draw.width(draw.size(130, 4), draw.option([true, false]) || epilogue === "gate");
  const width = Math.ceil(N / 4) * 4;
  const parts = draw.values(S * M * width), bias = draw.odds(0.5) ? draw.values(width) : null;
  const rows = first + M, perGate = draw.int(1, rows), gateRows = Math.ceil(rows / perGate);
  const gates = draw.values(gateRows * width), before = draw.values(rows * N, dtype);
  // columns beyond N are whatever a kernel left there
  parts.forEach((_, i) => i % width >= N && (parts[i] = NaN));
  const tensor = upload(dtype, [rows, N], before);
  sumParts(device, {
    parts: upload("f32", [S, M, width], parts),
    N,
    bias: bias && upload("f32", [width], bias),
    y: tensor,
    first,
    epilogue,
    ...epilogue === "gate" && {
      gate: {
        tensor: upload("f32", [gateRows, width], gates),
        offset: 0,
        stride: width,
        rows: perGate,
      },
    },
  });
  const expected = before.slice();
  const made = reference.epilogue(reference.sumParts(parts, bias, S, M, N), N, epilogue, {
    before: before.subarray(first * N),
    gates,
    gateAt: (m, n) => Math.floor((m + first) / perGate) * width + n,
  });
  expected.set(made, first * N);
  return {
    shape: `[${S}, ${M}, ${N}] from row ${first}, ${epilogue}${bias ? " and bias" : ""}`,
    outputs: [{ tensor, expected }],
  };
}

function summedColumns(draw: Draw, dtype: Float): Case {
  const groups = draw.size(4), rows = draw.size(draw.odds(0.2) ? 3000 : 100, 32);
  const N = draw.width(draw.size(40, 4), draw.option([true, false]));
  const count = groups * rows * N, add = draw.odds(0.5);
  const stride = N + draw.of([0, 4, 5]), offset = draw.of([0, 4, 1]);
  const x = draw.factors(draw.values(count, dtype), groups * N);
  const z = draw.odds(0.5) ? draw.factors(draw.values(count, dtype), groups * N) : null;
  const before = draw.factors(draw.values(offset + groups * stride), groups * N);
  const tensor = upload("f32", [before.length], before);
  columnSums(device, {
    x: upload(dtype, [groups * rows, N], x),
    ...z && { z: upload(dtype, [groups * rows, N], z) },
    y: { tensor, add },
    rows,
    offset,
    stride,
  });
  const expected = before.slice();
  reference.columnSums(x, z, N, rows).forEach((sum, i) => {
    const at = offset + Math.floor(i / N) * stride + i % N;
    expected[at] = sum + (add ? before[at]! : 0);
  });
  return {
    shape: `[${groups}, ${rows}, ${N}]${z ? " times another" : ""} to ${offset} + ${stride} g`,
    outputs: [{ tensor, expected }],
  };
}

function transposed(draw: Draw, from: Float, to: Float): Case {
  const vectors = draw.option([true, false]);
  const M = draw.width(draw.size(100, 32), draw.option([true, false]));
  const N = draw.width(draw.size(100, 32), vectors);
  const first = draw.of([0, 0, 4]), P = M + draw.of([0, 0, 4]);
  const pitch = first + N + draw.of([0, 4]);
  const x = draw.values(M * pitch, "f16");
  const tensor = poisoned(to, [N, P]);
  transpose(device, { x: upload(from, [M, pitch], x), y: tensor, first });
  return {
    shape: `[${M}, ${pitch}] from ${first} on to [${N}, ${P}]`,
    // f16 becomes f32, and adapters may lose subnormal numbers there
    outputs: [{
      tensor,
      expected: reference.transpose(x, pitch, first, N, P),
      flushed: 2 ** -14,
    }],
  };
}

function sentBack(draw: Draw, dtype: Float): Case {
  const vectors = draw.option([true, false]);
  const M = draw.size(draw.odds(0.2) ? 400 : 70, 32);
  const K = draw.width(draw.size(70, 32), vectors), N = draw.width(draw.size(70, 32), vectors);
  const stacked = draw.odds(0.5) ? [8, N] : [N]; // rows of each weight
  const rows = stacked.reduce((sum, n) => sum + n), zeros = draw.int(0, rows - 1);
  const few = Math.min(M * K, K * stacked.at(-1)!, rows - zeros);
  const x = draw.factors(draw.values(M * K, dtype), few);
  const w = draw.factors(draw.values(rows * K, dtype), few);
  const dy = draw.factors(draw.values(M * rows, dtype), few);
  const { dx, dw, db } = reference.matmulBackward(x, w, dy, M, K, rows);
  const outputs: Output[] = [];
  const scale = draw.of([1, 1, 0.5]);
  const gradient = (type: Float, shape: number[], factor: number, values: Float64Array) => {
    const add = draw.odds(0.5);
    const before = draw.factors(draw.values(values.length, type), few);
    const tensor = add ? upload(type, shape, before) : poisoned(type, shape);
    const expected = values.map((v, i) => factor * v + (add ? before[i]! : 0));
    outputs.push({ tensor, expected });
    return { tensor, add };
  };
  let first = 0;
  const parts = stacked.map((n) => {
    const [from, to] = [first * K, (first += n) * K];
    const wanted = draw.odds(0.8) || stacked.length === 1;
    return {
      weight: upload("f32", [n, K], w.subarray(from, to)),
      dw: wanted ? gradient("f32", [n, K], scale, dw.subarray(from, to)) : null,
    };
  });
  matmulBackward(device, {
    x: upload(dtype, [M, K], x),
    weights: parts.map(({ weight }) => weight),
    dy: upload(dtype, [M, rows], dy),
    dx: draw.odds(0.8) ? gradient(dtype, [M, K], scale, dx) : null,
    dweights: parts.map(({ dw }) => dw),
    dbiases: [zeros, gradient("f32", [rows - zeros], 1, db.subarray(zeros))],
    scale,
    dtype,
    piece: 128,
  });
  return { shape: `[${M}, ${K}] by [${stacked}] times ${scale}`, outputs };
}
