import {
  defineKernel,
  type Device,
  ELEMENT_BYTES,
  grid,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import type { Conv2dBackwardArgs } from "./conv2d_backward_args.ts";
import { imagesInParts, mostBytes, padBefore, scratch } from "./conv_dispatch.ts";
import { padRows } from "../elementwise/pad_rows.ts";
import { matmulBackward } from "../linear/matmul_backward.ts";
import { readX } from "../shared/access.ts";
import { divideLines } from "../shared/divide.ts";
import type { Gradient } from "../shared/gradient.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { textureTexels, usesTexture } from "../shared/textures.ts";
import { range } from "../shared/unroll.ts";
import sumSource from "./conv2d_backward_sum.wgsl" with { type: "text" };
import textureSource from "./conv2d_backward_texture.wgsl" with { type: "text" };
import unfoldSource from "./conv2d_backward_unfold.wgsl" with { type: "text" };

const textureKernel = defineKernel("conv2d_backward_texture", textureSource, ["x", "dy", "sums"], [
  "lines",
  "depth",
  "height",
  "width",
  "in_height",
  "in_width",
  "vectors",
  "columns",
  "rows",
  "size",
  "stride",
  "pad",
  "upsample",
]);
const unfoldKernel = defineKernel("conv2d_backward_unfold", unfoldSource, ["x", "patches"], [
  "count",
  "height",
  "width",
  "in_height",
  "in_width",
  "C",
  "vectors",
  "stride",
  "pad",
  "upsample",
]);
const sumKernel = defineKernel("conv2d_backward_sum", sumSource, ["sums", "dweight"], [
  "count",
  "taps",
  "length",
  "others",
  "step",
  "other_step",
  "parts",
  "part_stride",
  "stride",
  "other_stride",
  "tap_stride",
]);

/** The gradient of a convolution by its weight: dy, transposed, times the patches of x under its pixels. */
export function weightGradient(device: Device, args: Conv2dBackwardArgs, dweight: Gradient): void {
  const variant = args.variant ?? (usesTexture(device) ? "texture" : "product");
  if (variant === "texture") return inTextures(device, args, dweight);
  asProduct(device, args, dweight);
}

function asProduct(device: Device, args: Conv2dBackwardArgs, { tensor, add }: Gradient): void {
  const { weight, x, dy, stride = 1, upsample = false, dtype = "f32" } = args;
  const [N = 0, C = 0, size = 0] = weight.shape;
  const [B = 0, height = 0, width = 0] = dy.shape;
  const only = { dx: null, dbiases: [], dtype };
  if (size === 1 && stride === 1 && !upsample) { // patches are pixels
    const [matrix, gradient] = [weight, tensor].map((each) => each.reshape(N, C)) as [
      Tensor,
      Tensor,
    ];
    const dweights = [{ tensor: gradient, add }];
    return matmulBackward(device, { ...only, x, weights: [matrix], dy, dweights });
  }
  const vectors = Math.ceil(C / 4);
  const columns = 4 * size * size * vectors;
  using sums = device.tensor("f32", [N, columns], "gradient of a weight");
  const most = mostBytes(device) / (height * width * columns * ELEMENT_BYTES[dtype]);
  for (const [first, count] of imagesInParts(B, most, [x, dy])) {
    const pixels = count * height * width;
    using memory = scratch(device, dtype, pixels * columns, "patches");
    const patches = memory.rows(0, pixels * columns).reshape(pixels, columns);
    unfold(device, args, x.rows(first, count), patches);
    const dweights = [{ tensor: sums, add: first > 0 }];
    const some = { x: patches, dy: dy.rows(first, count) };
    matmulBackward(device, { ...only, ...some, weights: [sums], dweights });
  }
  const layout = { along: "c", stride: 1, otherStride: columns / 4, tapStride: vectors } as const;
  sum(device, sums.reshape(1, N, columns), weight, layout, { tensor, add });
}

/** Writes out what lies under the taps of each pixel of dy. */
function unfold(
  device: Device,
  { weight, dy, stride = 1, upsample = false, padding }: Conv2dBackwardArgs,
  x: Tensor,
  patches: Tensor,
): void {
  const [, C = 0, size = 0] = weight.shape;
  const [, in_height = 0, in_width = 0] = x.shape;
  const [, height = 0, width = 0] = dy.shape;
  const read = readX(x.dtype, C, "C");
  const vectors = Math.ceil(C / 4);
  const count = patches.elements / (4 * size * size);
  const { WG, workgroups } = spread(device, count);
  device.run(unfoldKernel, {
    specialise: { WG, SIZE: size, X: read.type, U: `vec4<${patches.dtype}>` },
    functions: unfoldLines(read.lines, patches.dtype, divideLines(device, count)),
    bind: { x, patches },
    params: {
      count,
      height,
      width,
      in_height,
      in_width,
      C,
      vectors,
      stride,
      pad: padBefore(size, padding),
      upsample: upsample ? 1 : 0,
    },
    workgroups,
  });
}

const unfoldLines = memoised((read: string, dtype: string, divide: string): string =>
  [divide, read, narrowLines(dtype)].join("\n")
);

/** Most pixels whose products are summed one by one. */
const MOST_PIXELS = 8192;

/** Fewest workgroups that keep a CPU busy. */
const FEWEST_WORKGROUPS = 64;

function inTextures(device: Device, args: Conv2dBackwardArgs, dweight: Gradient): void {
  const { weight, x, dy, stride = 1, upsample = false, padding } = args;
  const [N = 0, C = 0, size = 0] = weight.shape;
  const [B = 0, inHeight = 0, inWidth = 0] = x.shape;
  const [, height = 0, width = 0] = dy.shape;
  const lanes = device.capabilities.subgroupSize;
  const vectors = Math.ceil(C / 4), columns = Math.ceil(N / 4);
  const rows = size * size * vectors;
  const tiles = Math.ceil(rows / lanes) * Math.ceil(columns / lanes);
  const images = Math.max(vectors * inHeight * inWidth, columns * height * width);
  let add = dweight.add;
  for (const [begin, count] of imagesInParts(B, textureTexels(device) / images, [x, dy])) {
    const lines = count * height;
    const wanted = Math.max(FEWEST_WORKGROUPS / tiles, lines * width / MOST_PIXELS);
    const most = Math.min(lines, mostBytes(device) / (64 * rows * columns));
    const depth = Math.ceil(lines / Math.max(1, Math.min(most, Math.ceil(wanted))));
    const parts = Math.ceil(lines / depth);
    using sums = device.tensor("f32", [parts, 4 * rows, 4 * columns], "parts of sums");
    const some = [x.rows(begin, count), dy.rows(begin, count)] as const;
    using paddedX = padRows(device, some[0], C);
    using paddedDy = padRows(device, some[1], N);
    using stagedX = device.stage(paddedX ?? some[0]);
    using stagedDy = device.stage(paddedDy ?? some[1]);
    device.run(textureKernel, {
      specialise: {
        X: `texture_storage_2d<${stagedX.format}, read>`,
        D: `texture_storage_2d<${stagedDy.format}, read>`,
        LANES: lanes,
      },
      functions: unrolled(lanes),
      bind: { x: stagedX, dy: stagedDy, sums },
      params: {
        lines,
        depth,
        height,
        width,
        in_height: inHeight,
        in_width: inWidth,
        vectors,
        columns,
        rows,
        size,
        stride,
        pad: padBefore(size, padding),
        upsample: upsample ? 1 : 0,
      },
      workgroups: grid(tiles * parts),
      work: {
        shape: [lines * width, size * size * C, N],
        flops: 2 * lines * width * size * size * C * N,
      },
    });
    const strides = { stride: 1, otherStride: columns, tapStride: 4 * vectors * columns };
    sum(device, sums, weight, { along: "n", ...strides }, { tensor: dweight.tensor, add });
    add = true;
  }
}

/** How parts of sums lie in memory, in vec4s. */
interface SumLayout {
  /** Axis that vec4s run along. */
  readonly along: "n" | "c";
  /** From one vec4 of that axis to the next. */
  readonly stride: number;
  /** From one of the other axis to the next. */
  readonly otherStride: number;
  /** From one tap to the next. */
  readonly tapStride: number;
}

/** Adds up parts, and brings them to the layout of the weight. */
function sum(
  device: Device,
  sums: Tensor,
  weight: Tensor,
  { along, stride, otherStride, tapStride }: SumLayout,
  { tensor: dweight, add }: Gradient,
): void {
  const [N = 0, C = 0, size = 0] = weight.shape;
  const taps = size * size;
  const [parts = 0] = sums.shape;
  const [n, c] = [{ length: N, step: C * taps }, { length: C, step: taps }];
  const [{ length, step }, other] = along === "n" ? [n, c] : [c, n];
  const count = Math.ceil(length / 4) * other.length * taps;
  const { WG, workgroups } = spread(device, count);
  device.run(sumKernel, {
    specialise: { WG, ADD: add },
    functions: divideLines(device, count),
    bind: { sums, dweight },
    params: {
      count,
      taps,
      length,
      others: other.length,
      step,
      other_step: other.step,
      parts,
      part_stride: sums.elements / parts / 4,
      stride,
      other_stride: otherStride,
      tap_stride: tapStride,
    },
    workgroups,
  });
}

/** WGSL of all that is unrolled over rows: sums stay in registers only if each has a name. */
const unrolled = memoised((lanes: number): string => {
  const rows = range(4 * lanes);
  return [
    `struct Sums { ${rows.map((r) => `r${r}: vec4<f32>,`).join(" ")} }`,
    "fn madd(sum: vec4<f32>, a: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {",
    "  return fma(vec4(a.w), w3, fma(vec4(a.z), w2, fma(vec4(a.y), w1, fma(vec4(a.x), w0, sum))));",
    "}",
    `fn multiply(sum: Sums, ${operands("a")}, ${operands("d")}) -> Sums {`,
    "  var s = sum;",
    ...range(lanes).flatMap((j) => [
      ...[0, 1, 2, 3].map((k) => `  let a${k}_${j} = subgroupShuffle(a${k}, ${j}u);`),
      ...["x", "y", "z", "w"].map((c, i) => {
        const four = [0, 1, 2, 3].map((k) => `a${k}_${j}.${c}`).join();
        return `  s.r${4 * j + i} = madd(s.r${4 * j + i}, vec4(${four}), d0, d1, d2, d3);`;
      }),
    ]),
    "  return s;",
    "}",
    "fn store_all(at: u32, left: u32, s: Sums) {",
    ...rows.map((r) =>
      `  ${
        r % 4 ? "" : `if (left <= ${r / 4}) { return; }\n  `
      }sums[at + ${r} * params.columns] = s.r${r};`
    ),
    "}",
  ].join("\n");
});

function operands(name: string): string {
  return [0, 1, 2, 3].map((k) => `${name}${k}: vec4<f32>`).join(", ");
}
