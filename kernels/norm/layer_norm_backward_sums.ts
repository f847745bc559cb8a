/**
 * The gradients of the vectors of LayerNorm: weight, bias, scale and shift.
 *
 * @module
 */

import { defineKernel, type Device, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import type { LayerNormArgs } from "./layer_norm.ts";
import source from "./layer_norm_backward_sums.wgsl" with { type: "text" };

const kernel = defineKernel("layer_norm_backward_sums", source, [
  "x",
  "dy",
  "moments",
  "weight",
  "bias",
  "modulation",
  "sums",
  "products",
], ["count", "columns", "M", "rows", "chunk", "chunks", "stride", "scale_offset"]);

/** Least rows of a chunk. */
const LEAST_ROWS = 32;

/** What LayerNorm was given, and where the gradients of its vectors go. */
export interface LayerNormVectorsArgs extends Omit<LayerNormArgs, "y"> {
  /** Gradient of the output, [M, C] f32 or f16. */
  readonly dy: Tensor;
  /** Gradient of the weight, [C] f32; not wanted if absent. */
  readonly dweight?: Gradient | null;
  /** Gradient of the bias, [C] f32; not wanted if absent. */
  readonly dbias?: Gradient | null;
  /** Gradient of the modulation's tensor, f32: only scales and shifts are written. Not wanted if absent. */
  readonly dmodulation?: Gradient | null;
}

/** Where the sums over all rows of an image go, or those over all rows. */
interface Target {
  /** Whether they are the gradients of weight and bias, and not of scale and shift. */
  readonly affine: boolean;
  /** Of dy. */
  readonly sums: Gradient | null;
  /** Of dy times the normalised rows. */
  readonly products: Gradient | null;
  readonly sumsOffset: number;
  readonly productsOffset: number;
}

/** Computes those gradients that are wanted, from the moments of each row of x [M, 2]. */
export function sumLayerNormVectors(
  device: Device,
  args: LayerNormVectorsArgs,
  moments: Tensor,
): void {
  const { modulation, dweight = null, dbias = null, dmodulation = null } = args;
  if (dweight || dbias) {
    const target = { affine: true, sums: dbias, products: dweight };
    sumRows(device, args, moments, { ...target, sumsOffset: 0, productsOffset: 0 });
  }
  if (modulation && dmodulation) {
    sumRows(device, args, moments, {
      affine: false,
      sums: dmodulation,
      products: dmodulation,
      sumsOffset: modulation.shiftOffset,
      productsOffset: modulation.scaleOffset,
    });
  }
}

/** Adds up chunks of rows, then chunks. */
function sumRows(
  device: Device,
  { x, dy, weight, bias, modulation }: LayerNormVectorsArgs,
  moments: Tensor,
  { affine, sums, products, sumsOffset, productsOffset }: Target,
): void {
  const C = x.shape.at(-1) ?? 0;
  const M = x.elements / C;
  const rows = modulation?.rows ?? M;
  const images = Math.ceil(M / rows);
  const { stride = C, scaleOffset = 0 } = modulation ?? {};
  const chunk = Math.max(LEAST_ROWS, Math.ceil(Math.sqrt(rows)));
  const chunks = Math.ceil(rows / chunk);
  const { per, type } = vectorsOf(C, stride, scaleOffset);
  const parts = images * chunks;
  const count = parts * C / per;
  const { WG, workgroups } = spread(device, count);
  const make = (wanted: Gradient | null) =>
    wanted && device.tensor("f32", [parts, C], "parts of sums");
  using partSums = make(sums);
  using partProducts = make(products);
  device.run(kernel, {
    specialise: {
      WG,
      X: type(x.dtype),
      DY: type(dy.dtype),
      V: type("f32"),
      AFFINE: affine,
      SCALE: modulation !== undefined,
      WEIGHT: weight !== undefined,
      BIAS: bias !== undefined,
      SUMS: sums !== null,
      PRODUCTS: products !== null,
    },
    bind: {
      x,
      dy,
      moments,
      weight: weight ?? null,
      bias: bias ?? null,
      modulation: modulation?.tensor ?? null,
      sums: partSums,
      products: partProducts,
    },
    params: {
      count,
      columns: C / per,
      M,
      rows,
      chunk,
      chunks,
      stride: stride / per,
      scale_offset: scaleOffset / per,
    },
    workgroups,
  });
  // weight and bias are those of all images
  const group = affine ? {} : { rows: chunks, stride };
  if (sums) columnSums(device, { x: partSums!, y: sums, ...group, offset: sumsOffset });
  if (products) {
    columnSums(device, { x: partProducts!, y: products, ...group, offset: productsOffset });
  }
}
