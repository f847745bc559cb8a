import {
  defineKernel,
  type Device,
  grid,
  memoised,
  type Tensor,
  type Texture,
} from "../../engine/mod.ts";
import { padRows } from "../elementwise/pad_rows.ts";
import { type Epilogue, EPILOGUES, type Gate } from "./epilogue.ts";
import { QUANTISED_BLOCK, WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import { accessY } from "../shared/access.ts";
import type { Overflow } from "../shared/narrow.ts";
import { ANY_LANE } from "../shared/textures.ts";
import { range } from "../shared/unroll.ts";
import { variantOf } from "../shared/variants.ts";
import divideSource from "../shared/divide.wgsl" with { type: "text" };
import source from "./matmul_texture.wgsl" with { type: "text" };
import pixelsSource from "../shared/pixels.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_texture", source, ["x", "w", "scales", "bias", "gate", "y"], [
  "M",
  "K",
  "N",
  "height",
  "width",
  "in_height",
  "in_width",
  "vectors",
  "size",
  "stride",
  "pad_y",
  "pad_x",
  "upsample",
  "first",
  "strips",
  "rows_first",
  "has_bias",
  "has_gate",
  "rows_per_gate",
  "gate_stride",
  "gate_offset",
]);

/** Bytes of weights that stay in the cache of a core while rows stream by. */
const CACHE_BYTES = 1 << 20;

/** How the rows of a product lie in x: row m is the patch under pixel m. */
export interface Rows {
  /** Height of y in pixels. */
  readonly height: number;
  /** Width of y in pixels. */
  readonly width: number;
  /** Height of x in pixels. */
  readonly inHeight: number;
  /** Width of x in pixels. */
  readonly inWidth: number;
  /** Number of taps along both axes. */
  readonly size: number;
  /** Step in x, in pixels, from one pixel of y to the next. */
  readonly stride: number;
  /** Rows of zeros above x; if negative, rows of x that are left out. */
  readonly padY: number;
  /** Zeros to the left of each row of x. */
  readonly padX: number;
  /** Whether x is read as if twice as high and wide (nearest). */
  readonly upsample: boolean;
}

/** Arguments of {@link matmulTexture}. */
export interface MatmulTextureArgs {
  /** Pixels of `channels` f32 or f16 each. */
  readonly x: Tensor;
  /** Channels of a pixel of x. */
  readonly channels: number;
  /** Where the rows are in x. */
  readonly rows: Rows;
  /** Number of rows. */
  readonly M: number;
  /** Columns of y. */
  readonly N: number;
  /** Weight in strips, see {@link packedIndex}. */
  readonly weight: Texture;
  /** Storage type of the weight. */
  readonly dtype: WeightType;
  /** Scales of a quantised weight. */
  readonly scales: Tensor | null;
  /** [⌈N/4⌉·4] f32, or null. */
  readonly bias: Tensor | null;
  /** Rows of N f32 or f16. */
  readonly y: Tensor;
  /** Row of y where row 0 is stored. */
  readonly first: number;
  /** What is done to a sum before it is stored. */
  readonly epilogue: Epilogue;
  /** For the epilogue `gate`. */
  readonly gate?: Gate;
  /** What becomes of sums beyond the range of f16; its largest number if absent. */
  readonly overflow?: Overflow | undefined;
}

/** Multiplies rows by weights, both in textures: {@link matmul} and {@link conv2d} on software adapters. */
export function matmulTexture(device: Device, args: MatmulTextureArgs): void {
  const { rows, M, N, weight, dtype, bias, y, gate } = args;
  const lanes = device.capabilities.subgroupSize;
  const vectors = Math.ceil(args.channels / 4);
  const K = rows.size * rows.size * vectors;
  const taps = rows.size * rows.size * args.channels; // without the padding of vec4s
  using owned = padRows(device, args.x, args.channels);
  using x = device.stage(owned ?? args.x, "staged rows");
  const choice = rows.size > 1 ? "matmul_texture patches" : "matmul_texture rows";
  const tile = Number(variantOf(device, choice, M));
  const strips = Math.ceil(N / 4 / lanes);
  const step = 4 * lanes * lanes / WEIGHT_FORMATS[dtype].rowsPerElement;
  // without a gate the factor is 1: one pipeline for both
  const adds = args.epilogue === "add" || args.epilogue === "gate";
  // few rows share the pipeline of convolutions, half a second of compilation
  const plain = M === rows.inWidth && rows.inHeight === 1 && rows.size === 1 && tile > 16;
  const access = accessY(y.dtype, plain && N % 4 === 0, args.overflow);
  device.run(kernel, {
    specialise: {
      X: `texture_storage_2d<${x.format}, read>`,
      W: `texture_storage_2d<${weight.format}, read>`,
      Y: access.type,
      LANES: lanes,
      ROWS: tile,
      STEP: step,
      PLAIN: plain,
    },
    functions: prelude(access.lines, adds ? "add" : args.epilogue, dtype, lanes, tile),
    bind: { x, w: weight, scales: args.scales, bias, gate: gate?.tensor ?? null, y },
    params: {
      M,
      K,
      N,
      height: rows.height,
      width: rows.width,
      in_height: rows.inHeight,
      in_width: rows.inWidth,
      vectors,
      size: rows.size,
      stride: rows.stride,
      pad_y: rows.padY,
      pad_x: rows.padX,
      upsample: rows.upsample ? 1 : 0,
      first: args.first,
      strips,
      rows_first: 16 * N * K > CACHE_BYTES ? 1 : 0,
      has_bias: bias ? 1 : 0,
      has_gate: args.epilogue === "gate" ? 1 : 0,
      rows_per_gate: gate?.rows ?? 1,
      gate_stride: (gate?.stride ?? 0) / 4,
      gate_offset: (gate?.offset ?? 0) / 4,
    },
    workgroups: grid(Math.ceil(M / tile) * strips),
    work: { shape: [M, taps, N], flops: 2 * M * taps * N },
  });
}

/**
 * Returns all prelude lines. Loops over rows are unrolled: shuffles need constant lanes, and Naga adds checks to
 * loops.
 */
const prelude = memoised((
  access: string,
  epilogue: Epilogue,
  dtype: WeightType,
  lanes: number,
  rows: number,
): string => {
  const each = (line: (r: number) => string) => range(rows).map(line);
  return [
    pixelsSource,
    divideSource,
    access,
    `fn epilogue(m: u32, n: u32, v: vec4<f32>) -> vec4<f32> { ${
      epilogue === "add" ? ADD : EPILOGUES[epilogue]
    } }`,
    WEIGHT_FORMATS[dtype].quantisation ? LOAD_SCALE : "",
    `struct Rows { ${each((r) => `r${r}: vec4<f32>,`).join(" ")} }`,
    `struct Pixels { ${each((r) => `r${r}: vec3<i32>,`).join(" ")} }`,
    // rows beyond the last repeat it
    `fn pixels(first: vec3<u32>, rows: u32) -> Pixels {
  var p = first;
  var at: Pixels;
  ${each((r) => `at.r${r} = corner(p); p = select(p, next(p), ${r + 1} < rows);`).join("\n  ")}
  return at;
}`,
    `fn load_rows(at: Pixels, tap: vec3<i32>) -> Rows {
  var a: Rows;
  ${each((r) => `a.r${r} = load(at.r${r}, tap);`).join("\n  ")}
  return a;
}`,
    `fn drop_first(rows: Rows) -> Rows {
  var a = rows;
  ${each((r) => r + 1 < rows ? `a.r${r} = a.r${r + 1};` : "").join(" ")}
  return a;
}`,
    multiplyLines(lanes, rows, dtype),
  ].join("\n");
});

const ADD = `let at = params.gate_offset + m / params.rows_per_gate * params.gate_stride + n;
  return fma(select(vec4(1.0), gate[params.has_gate * at], params.has_gate != 0), v, load_y(m, n));`;

/** WGSL that loads the scales of 4 columns in a block of 32 k. The weights after the last block are zeros. */
const LOAD_SCALE = `fn load_scale(block: u32, n: u32) -> vec4<f32> {
  let halves = scales[min(block, (params.K - 1) / 8) * ((params.N + 3) / 4) + n];
  return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;

/** How to unpack 4 rows of weights from texels. */
interface Unpacking {
  /** What a normalised texel was divided by, which multiplies the scale; 1 if absent. */
  readonly factor?: number;
  /** Returns lines that set `w${lane}_0` to `w${lane}_3` from `load(i)`, texel i of these rows, and `scale`. */
  readonly lines: (lane: number, load: (i: number) => string) => string[];
}

const FLOATS: Unpacking = { lines: (lane, load) => fourRows(lane, (i) => load(i)) };

const UNPACKING: Readonly<Record<WeightType, Unpacking>> = {
  f32: FLOATS,
  f16: FLOATS,
  q8_0: { factor: 127, lines: (lane, load) => fourRows(lane, (i) => `scale * ${load(i)}`) },
  q4_0: { lines: nibbleLines },
};

function fourRows(lane: number, row: (i: number) => string): string[] {
  return [0, 1, 2, 3].map((i) => `  let w${lane}_${i} = ${row(i)};`);
}

/** Unpacks four rows of k from two texels of pairs of nibbles, normalised to [0, 1]. */
function nibbleLines(lane: number, load: (i: number) => string): string[] {
  return [0, 1].flatMap((i) => {
    const name = `${lane}_${2 * i}`;
    return [
      `  let t${name} = round(255 * ${load(i)});`,
      `  let h${name} = floor(t${name} / 16);`,
      `  let w${name} = scale * (t${name} - 16 * h${name} - 8);`,
      `  let w${lane}_${2 * i + 1} = scale * (h${name} - 8);`,
    ];
  });
}

/**
 * Returns WGSL `multiply`, which adds the products of LANES vec4s of k: `at` is the first texel of the weights,
 * `column` this lane's column of y. A loop over lanes, where shuffles allow it, compiles in a third of the time, and
 * its code stays in the first-level cache.
 */
function multiplyLines(lanes: number, rows: number, dtype: WeightType): string {
  const unrolled = lanes === ANY_LANE ? 1 : lanes;
  const { quantisation, rowsPerElement } = WEIGHT_FORMATS[dtype];
  const { factor, lines: unpack } = UNPACKING[dtype];
  const texels = 4 / rowsPerElement; // of 4 k
  const lines = [
    "fn madd(sum: vec4<f32>, a: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {",
    "  return fma(vec4(a.w), w3, fma(vec4(a.z), w2, fma(vec4(a.y), w1, fma(vec4(a.x), w0, sum))));",
    "}",
    "fn multiply(sum: Rows, a: Rows, at: vec2<u32>, k: u32, column: u32) -> Rows {",
    "  var s = sum;",
  ];
  if (quantisation) lines.push("  var scale: vec4<f32>;");
  // without a loop j is a constant, and so are the lanes of shuffles
  lines.push(unrolled < lanes ? "  for (var j = 0u; j < LANES; j++) {" : "  { const j = 0u;");
  lines.push(`  let texel = vec2(at.x + j * ${texels * lanes}, at.y);`);
  for (let lane = 0; lane < unrolled; lane++) {
    if (quantisation && 4 * lane % QUANTISED_BLOCK === 0) {
      const scale = `load_scale((k + j + ${lane}) / ${QUANTISED_BLOCK / 4}, column)`;
      lines.push(`  scale = ${factor ? `${factor} * ` : ""}${scale};`);
    }
    const load = (i: number) => `textureLoad(w, texel + vec2(${(texels * lane + i) * lanes}, 0))`;
    lines.push(...unpack(lane, load));
    const w = [0, 1, 2, 3].map((i) => `w${lane}_${i}`).join();
    for (let r = 0; r < rows; r++) {
      lines.push(`  s.r${r} = madd(s.r${r}, subgroupShuffle(a.r${r}, j + ${lane}), ${w});`);
    }
  }
  return [...lines, "  }", "  return s;", "}"].join("\n");
}
