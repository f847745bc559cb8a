import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gateReach } from "../linear/epilogue.ts";
import { gradientLines } from "../shared/narrow.ts";
import { vectorsOf } from "../shared/vectors.ts";
import { type LayerNormVectorsArgs, sumLayerNormVectors } from "./layer_norm_backward_sums.ts";
import { statisticsLines, unroll } from "./row_statistics.ts";
import { type LayerNormVariant, rowShape, rowVariantFor } from "./row_totals.ts";
import source from "./layer_norm_backward.wgsl" with { type: "text" };

const kernel = defineKernel("layer_norm_backward", source, [
  "x",
  "dy",
  "weight",
  "modulation",
  "moments",
  "dx",
], ["M", "C", "width", "eps", "rows", "stride", "scale_offset"]);

/** Arguments of {@link layerNormBackward}: those of the forward pass, and where gradients go. */
export interface LayerNormBackwardArgs extends LayerNormVectorsArgs {
  /** Gradient of x, f32 or f16; not wanted if null. */
  readonly dx: Gradient | null;
}

/** All prelude lines. */
const prelude = memoised((
  per: 1 | 4,
  held: number,
  variant: LayerNormVariant,
  lanes: number,
  dxType: string,
): string =>
  `${statisticsLines(per === 4, held, variant, lanes, true)}
${gradientLines(dxType, per)}
fn load_dz(row: Row, c: u32) -> Held { return Held(${
    unroll(held, (_, at) => `at_dz(row, ${at})`, ", ")
  }); }
fn products_held(row: Row, c: u32, h: Held, d: Held) -> V { return ${
    unroll(held, (v, at) => `product(row, ${at}, h.${v}, d.${v})`, " + ")
  }; }
fn store_held(row: Row, line: Line, c: u32, h: Held, d: Held) { ${
    unroll(held, (v, at) => `store(row, line, ${at}, h.${v}, d.${v});`)
  } }`
);

/**
 * The gradients of `layerNorm` by x, weight, bias, scale and shift. Its statistics are computed again, in f32; sums over
 * rows have a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function layerNormBackward(device: Device, args: LayerNormBackwardArgs): void {
  const { x, dx, dweight, dbias, dmodulation } = args;
  checkShapes(args);
  const vectors = dweight || dbias || dmodulation;
  if (!dx && !vectors) return;
  const M = x.elements / (x.shape.at(-1) ?? 0);
  using moments = vectors ? device.tensor("f32", [M, 2], "norm moments") : null;
  rowGradients(device, args, moments);
  if (moments) sumLayerNormVectors(device, args, moments);
}

/** Computes dx and the moments of each row, as far as they are wanted. */
function rowGradients(device: Device, args: LayerNormBackwardArgs, moments: Tensor | null): void {
  const { x, dy, eps, rms = false, weight, modulation, dx } = args;
  const C = x.shape.at(-1) ?? 0;
  const M = x.elements / C;
  const { scaleOffset = 0, stride = 0, rows = 1 } = modulation ?? {};
  const { per, type } = vectorsOf(C, scaleOffset, stride);
  const dxType = dx?.tensor.dtype ?? "f32";
  const variant = args.variant ?? rowVariantFor(device, "layer_norm_backward");
  const shape = rowShape(device, variant, C / per);
  device.run(kernel, {
    specialise: {
      X: type(x.dtype),
      DY: type(dy.dtype),
      DX: type(dxType),
      V: type("f32"),
      PER: per,
      ...shape,
      RMS: rms,
      WEIGHT: weight !== undefined,
      SCALE: modulation !== undefined,
      WANTED: dx !== null,
      ADD: dx?.add ?? false,
      MOMENTS: moments !== null,
    },
    functions: prelude(per, shape.HELD, variant, device.capabilities.subgroupSize, dxType),
    bind: {
      x,
      dy,
      weight: weight ?? null,
      modulation: modulation?.tensor ?? null,
      moments,
      dx: dx?.tensor ?? null,
    },
    params: {
      M,
      C: C / per,
      width: C,
      eps,
      rows,
      stride: stride / per,
      scale_offset: scaleOffset / per,
    },
    workgroups: grid(M),
  });
}

function checkShapes(args: LayerNormBackwardArgs): void {
  const { x, dy, weight, bias, modulation, dx, dweight, dbias, dmodulation } = args;
  const C = x.shape.at(-1) ?? 0;
  const images = modulation ? Math.ceil(x.elements / C / modulation.rows) : 0;
  const { scaleOffset = 0, shiftOffset = 0, stride = 0, rows = 1 } = modulation ?? {};
  const offset = Math.max(scaleOffset, shiftOffset);
  const needed = gateReach({ rows, stride, offset }, x.elements / C, C);
  const large = (tensor: Tensor | undefined, elements: number) =>
    !tensor || tensor.elements === elements;
  const fits = large(dy, x.elements) && large(dx?.tensor, x.elements) &&
    [weight, bias, dweight?.tensor, dbias?.tensor].every((tensor) => large(tensor, C)) &&
    (modulation ? modulation.tensor.elements >= needed && stride >= C : !dmodulation) &&
    large(dmodulation?.tensor, modulation?.tensor.elements ?? 0) && (dbias ? bias : true) &&
    (dweight ? weight : true);
  if (fits) return;
  const given = [dx?.tensor, weight, bias, modulation?.tensor].map((t) =>
    `[${t?.shape ?? "none"}]`
  );
  throw new KernelError(
    "bad-shape",
    `Cannot send [${dy.shape}] back through the norm of [${x.shape}] to ${given[0]} with weight ` +
      `${given[1]}, bias ${given[2]}, modulation ${given[3]} of ${images} images`,
  );
}
