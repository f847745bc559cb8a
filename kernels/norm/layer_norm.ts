import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { gateReach } from "../linear/epilogue.ts";
import { narrowLines } from "../shared/narrow.ts";
import { vectorsOf } from "../shared/vectors.ts";
import { statisticsLines, unroll } from "./row_statistics.ts";
import { type LayerNormVariant, rowShape, rowVariantFor } from "./row_totals.ts";
import source from "./layer_norm.wgsl" with { type: "text" };

const kernel = defineKernel("layer_norm", source, ["x", "weight", "bias", "modulation", "y"], [
  "M",
  "C",
  "width",
  "eps",
  "rows",
  "stride",
  "scale_offset",
  "shift_offset",
]);

/** AdaLN's scale and shift of each image. Offsets and strides count elements. */
export interface Modulation {
  /** f32, of any shape. */
  readonly tensor: Tensor;
  /** Start of the first image's scale [C]. */
  readonly scaleOffset: number;
  /** Start of the first image's shift [C]. */
  readonly shiftOffset: number;
  /** From one image to the next. */
  readonly stride: number;
  /** Rows of x per image. */
  readonly rows: number;
}

/** Arguments of {@link layerNorm}. */
export interface LayerNormArgs {
  /** [M, C] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** [M, C] f32 or f16, not x. */
  readonly y: Tensor;
  /** Added to the variance. */
  readonly eps: number;
  /** Computes RMSNorm, which does not subtract the mean; false if absent. */
  readonly rms?: boolean;
  /** [C] f32; ones if absent. */
  readonly weight?: Tensor;
  /** [C] f32; zeros if absent. */
  readonly bias?: Tensor;
  /** None if absent. */
  readonly modulation?: Modulation;
  /** How a workgroup sums; chosen by the adapter if absent. Tests set it. */
  readonly variant?: LayerNormVariant;
}

/** All prelude lines. */
const prelude = memoised((
  per: 1 | 4,
  held: number,
  variant: LayerNormVariant,
  lanes: number,
  yType: string,
): string =>
  `${statisticsLines(per === 4, held, variant, lanes)}
${narrowLines(yType, per)}
fn store_held(row: Row, c: u32, h: Held) { ${
    unroll(held, (v, at) => `store(row, ${at}, h.${v});`)
  } }`
);

/**
 * y = (norm(x) · weight + bias) · (1 + scale) + shift: LayerNorm (`torch.nn.LayerNorm`), T5's RMSNorm, and the AdaLN of
 * infinity/models/basic.py. Statistics are f32.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function layerNorm(device: Device, args: LayerNormArgs): void {
  const { x, y, eps, rms = false, weight, bias, modulation } = args;
  const C = x.shape.at(-1) ?? 0;
  const M = x.elements / C;
  const images = modulation ? Math.ceil(M / modulation.rows) : 0;
  const { scaleOffset = 0, shiftOffset = 0, stride = 0, rows = 1 } = modulation ?? {};
  const needed = gateReach({ rows, stride, offset: Math.max(scaleOffset, shiftOffset) }, M, C);
  if (
    y.elements !== x.elements || (weight && weight.elements !== C) ||
    (bias && bias.elements !== C) || (modulation && modulation.tensor.elements < needed)
  ) {
    const given = [y, weight, bias, modulation?.tensor].map((t) => `[${t?.shape ?? "none"}]`);
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] into ${given[0]} with weight ${given[1]}, bias ${given[2]}, ` +
        `modulation ${given[3]} of ${images} images`,
    );
  }
  const { per, type } = vectorsOf(C, scaleOffset, shiftOffset, stride);
  const variant = args.variant ?? rowVariantFor(device, "layer_norm");
  const shape = rowShape(device, variant, C / per);
  device.run(kernel, {
    specialise: {
      X: type(x.dtype),
      Y: type(y.dtype),
      V: type("f32"),
      PER: per,
      ...shape,
      RMS: rms,
      WEIGHT: weight !== undefined,
      BIAS: bias !== undefined,
      MODULATION: modulation !== undefined,
    },
    functions: prelude(per, shape.HELD, variant, device.capabilities.subgroupSize, y.dtype),
    bind: {
      x,
      weight: weight ?? null,
      bias: bias ?? null,
      modulation: modulation?.tensor ?? null,
      y,
    },
    params: {
      M,
      C: C / per,
      width: C,
      eps,
      rows: modulation?.rows ?? 1,
      stride: stride / per,
      scale_offset: scaleOffset / per,
      shift_offset: shiftOffset / per,
    },
    workgroups: grid(M),
  });
}
