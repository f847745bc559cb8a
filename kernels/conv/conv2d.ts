import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
  Texture,
} from "../../engine/mod.ts";
import { conv2dMatrix, type ConvTile, convTile } from "./conv2d_matrix.ts";
import { conv2dTiles, convParts } from "./conv2d_tiles.ts";
import type { Conv } from "./conv2d_weight.ts";
import {
  BINDINGS,
  type ConvGeometry,
  convWork,
  outputShape,
  padBefore,
  PARAMS,
} from "./conv_dispatch.ts";
import { matmulTexture } from "../linear/matmul_texture.ts";
import { accessY, readX } from "../shared/access.ts";
import type { Overflow } from "../shared/narrow.ts";
import { matrixObstacle } from "../shared/matrix.ts";
import source from "./conv2d.wgsl" with { type: "text" };
import pixelsSource from "../shared/pixels.wgsl" with { type: "text" };

const kernel = defineKernel("conv2d", source, BINDINGS, PARAMS);

/** Invocations of a workgroup. */
const WG = 64;

/** Fewer columns fill half a tile at most: not measured. */
const NARROW = 64;

/** A kernel for weights in buffers. */
type ConvVariant = "vector" | "tiles" | ConvTile;

/** Arguments of {@link conv2d}. */
export interface Conv2dArgs extends ConvGeometry {
  /** [B, H, W, C] f32 or f16. */
  readonly x: Tensor;
  /** Packed weight and bias. */
  readonly conv: Conv;
  /** [B, OH, OW, N] f32 or f16. */
  readonly y: Tensor;
  /** `add` adds the convolution to y; `none` if absent. */
  readonly epilogue?: "none" | "add";
  /** If present, x is [1, rows, W, C], some rows of an image or all, and only some rows of an image of y are made. */
  readonly strip?: ConvStrip;
  /**
   * How to multiply by a weight in a buffer: in registers, by tiles in workgroup memory or on tensor cores; chosen by
   * the adapter if absent.
   */
  readonly variant?: ConvVariant;
  /** What becomes of sums beyond the range of f16; its largest number if absent. */
  readonly overflow?: Overflow;
}

/** Rows of an image: those that {@link Conv2dArgs.x} holds, and those of {@link Conv2dArgs.y} to hold and to make. */
export interface ConvStrip {
  /** Image of y. */
  readonly image: number;
  /** Row of the image where x begins. x must hold all rows of the image that the kernel reaches. */
  readonly begin: number;
  /** Row of the image where y begins; 0 if absent. */
  readonly top?: number;
  /** Rows of the image that y is of; those of y if absent. */
  readonly height?: number;
  /** First row of y to make. */
  readonly first: number;
  /** Number of rows of y to make. */
  readonly count: number;
}

/** Checks a strip against the image. Beyond the image are zeros; beyond x nothing may be read. */
function checkStrip(args: Conv2dArgs, strip: ConvStrip): void {
  const { x, conv, y, stride = 1, upsample = false, padding = "same" } = args;
  const [images = 0, rows = 0, W = 0, C = 0] = x.shape;
  const [B = 0, H = 0] = y.shape;
  const { image, begin, first, count, top = 0, height = H } = strip;
  const scale = upsample ? 2 : 1;
  const end = begin + rows;
  const inHeight = height * stride / scale;
  const pad = padBefore(conv.size, padding);
  // rows of the image that the kernel reaches
  const low = Math.max(0, Math.floor((first * stride - pad) / scale));
  const last = (first + count - 1) * stride - pad + conv.size - 1;
  const high = Math.min(inHeight, Math.floor(last / scale) + 1);
  const shapes = x.shape.length === 4 && images === 1 && C === conv.C && image < B &&
    y.shape.join() === [B, H, W * scale / stride, conv.N].join();
  const inside = begin >= 0 && end <= inHeight && first >= top && first + count <= top + H &&
    top + H <= height;
  if (shapes && inside && begin <= low && end >= high) return;
  throw new KernelError(
    "bad-strip",
    `Cannot make rows ${first}..${first + count} of image ${image} of [${y.shape}] ` +
      `from rows ${begin}..${end} in [${x.shape}]`,
  );
}

/**
 * Computes y = conv(x) + bias: `torch.nn.Conv2d` on channels-last images, of any kernel size, with f32 sums. `upsample`
 * and `padding: "after"` make it the official Upsample and Downsample (infinity/models/bsq_vae/flux_vqgan.py). A row
 * has the same bits whether it is made with all others or in a `strip`.
 *
 * @throws {KernelError} `bad-shape`: shapes do not match. `bad-strip`: x lacks rows that the strip needs.
 */
export function conv2d(device: Device, args: Conv2dArgs): void {
  const { x, conv, y, stride = 1, upsample = false, padding = "same", strip, overflow } = args;
  const { C, N, size } = conv;
  if (strip) checkStrip(args, strip);
  const expected = strip ? y.shape : outputShape(x.shape, conv, args);
  if (x.shape.length !== 4 || x.shape[3] !== C || y.shape.join() !== expected.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot convolve [${x.shape}] by [${N}, ${C}, ${size}, ${size}] into [${y.shape}], ` +
        `expected [${expected}]`,
    );
  }
  const [, in_height = 0, in_width = 0] = x.shape;
  const [B = 0, H = 0, width = 0] = y.shape;
  const height = strip ? strip.count : H;
  const pixels = (strip ? 1 : B) * height * width;
  const pad = padBefore(size, padding);
  const first = strip ? (strip.image * H + strip.first - (strip.top ?? 0)) * width : 0;
  const padY = strip ? pad - (strip.first * stride - strip.begin * (upsample ? 2 : 1)) : pad;
  if (conv.weight instanceof Texture) {
    device.debug?.variant("conv2d", "texture", "a software adapter");
    const sizes = { height, width, inHeight: in_height, inWidth: in_width, size };
    return matmulTexture(device, {
      x,
      channels: C,
      rows: { ...sizes, stride, padY, padX: pad, upsample },
      M: pixels,
      N,
      weight: conv.weight,
      dtype: conv.dtype,
      scales: null,
      bias: conv.bias,
      y,
      first,
      epilogue: args.epilogue ?? "none",
      overflow,
    });
  }
  const operands = {
    overflow,
    bind: { x, w: conv.weight, bias: conv.bias, y },
    params: {
      pixels,
      height,
      width,
      in_height,
      in_width,
      C,
      N,
      size,
      stride,
      pad_y: padY,
      pad_x: pad,
      upsample: upsample ? 1 : 0,
      has_bias: conv.bias ? 1 : 0,
      accumulate: args.epilogue === "add" ? 1 : 0,
      first,
    },
    work: convWork({ pixels, size, C, N }),
  };
  const variant = args.variant ?? convVariant(device, conv, pixels);
  if (variant === "tiles") {
    return conv2dTiles(device, operands, convParts(device, (strip?.height ?? H) * width, conv));
  }
  if (variant !== "vector") return conv2dMatrix(device, operands, variant);
  const access = accessY(y.dtype, N % 4 === 0, overflow);
  const read = readX(x.dtype, C, "C");
  device.run(kernel, {
    specialise: { X: read.type, Y: access.type, W: conv.dtype, WG },
    functions: prelude(read.lines, access.lines),
    ...operands,
    workgroups: grid(Math.ceil(Math.ceil(pixels / 8) * Math.ceil(N / 4) / WG)),
  });
}

/** Chooses how to multiply by a weight in a buffer. */
function convVariant(device: Device, { dtype, N }: Conv, pixels: number): ConvVariant {
  const obstacle = matrixObstacle(device, dtype);
  if (!obstacle) return convTile(device, pixels, N);
  const variant = device.capabilities.class === "gpu" && N > NARROW ? "tiles" : "vector";
  device.debug?.variant("conv2d", variant, obstacle);
  return variant;
}

/** Returns all prelude lines of conv2d.wgsl. */
const prelude = memoised((read: string, access: string): string =>
  [pixelsSource, read, access].join("\n")
);
