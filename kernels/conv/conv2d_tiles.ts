import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import { BINDINGS, type ConvDispatch, convWork, PARAMS } from "./conv_dispatch.ts";
import { limitedParts } from "../linear/matmul_tiles.ts";
import { FETCH_FLOATS } from "../linear/product.ts";
import { rowsInParts, sumParts, withParts } from "../linear/sum_parts.ts";
import { accessY, readX } from "../shared/access.ts";
import { fillsTurns, TILE_LINES, tileCount, tileGrid } from "../shared/tiles.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./conv2d_tiles.wgsl" with { type: "text" };

const kernel = defineKernel("conv2d_tiles", source, BINDINGS, PARAMS);

/**
 * In how many parts to make an image of `pixels`, whatever the batch and the strip. Not 1 × 1 kernels: their common
 * axis is short, and any pixels may count as an image.
 */
export function convParts(
  device: Device,
  pixels: number,
  { C, N, size }: { readonly C: number; readonly N: number; readonly size: number },
): number {
  if (size === 1) return 1;
  const wanted = variantOf(device, "conv2d_tiles parts", tileCount(pixels, N));
  return limitedParts(wanted, size * size * C);
}

/** Convolves by tiles in workgroup memory: {@link conv2d} with taps and channels in `parts`. */
export function conv2dTiles(device: Device, operands: ConvDispatch, parts: number): void {
  const { bind, params, overflow } = operands;
  const { pixels, N } = params;
  if (parts === 1) return convolve(device, operands, 1);
  const width = Math.ceil(N / 4) * 4;
  const most = rowsInParts(parts, N);
  for (let first = 0; first < pixels; first += most) {
    const count = Math.min(most, pixels - first);
    const some = { ...params, pixels: count, first, N: width };
    withParts(device, [parts, count, width], (sums) => {
      const bound = { ...bind, y: sums };
      convolve(device, { bind: bound, params: some, work: convWork(some), overflow }, parts);
      sumParts(device, {
        parts: sums,
        N,
        bias: bind.bias,
        y: bind.y,
        first: params.first + first,
        epilogue: params.accumulate ? "add" : "none",
        overflow,
      });
    });
  }
}

function convolve(device: Device, operands: ConvDispatch, parts: number): void {
  const { bind: { x, w, y }, params: { pixels, C, N, size }, overflow } = operands;
  const read = readX(x.dtype, C, "C");
  const access = accessY(y.dtype, N % 4 === 0, overflow);
  const channels = Math.ceil(C / 4);
  device.run(kernel, {
    specialise: {
      X: read.type,
      Y: access.type,
      W: `vec4<${w.dtype}>`,
      SIZE: size,
      CHANNELS: channels,
      PARTS: parts,
      EXACT: fillsTurns(size * size * channels, parts),
    },
    functions: prelude(read.lines, access.lines, channels),
    ...operands,
    workgroups: tileGrid(pixels, N, parts),
  });
}

/** Returns all prelude lines. */
const prelude = memoised((read: string, access: string, channels: number): string =>
  [TILE_LINES, FETCH_FLOATS, read, access, channels % 2 ? ANY_TAP : ONE_TAP].join("\n")
);

/** WGSL: tap and channel, in vec4s, of vec4 q of a step. Both of a step have one tap, the same for all invocations. */
const ONE_TAP = `fn tap_of(step: u32, q: u32) -> u32 { return step / (CHANNELS / 2); }
fn channel_of(step: u32, q: u32) -> u32 { return 2 * (step % (CHANNELS / 2)) + q; }`;

/** The same for pixels of an odd number of vec4s. */
const ANY_TAP = `fn tap_of(step: u32, q: u32) -> u32 { return (2 * step + q) / CHANNELS; }
fn channel_of(step: u32, q: u32) -> u32 { return (2 * step + q) % CHANNELS; }`;
