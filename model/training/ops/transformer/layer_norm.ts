import type { Modulation } from "../../../../kernels/norm/layer_norm.ts";
import { layerNorm as forward } from "../../../../kernels/norm/layer_norm.ts";
import { layerNormBackward } from "../../../../kernels/norm/layer_norm_backward.ts";
import type { FloatType } from "../../../../kernels/linear/weight_types.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";
import { partialGradient } from "./partial_gradient.ts";

/** AdaLN's scale and shift of each image, [C] each, among the vectors that one projection makes. */
export interface ScaleShift {
  /** [B, n·C] f32. */
  readonly vectors: Variable;
  /** Which of the n vectors is the scale. */
  readonly scale: number;
  /** Which one is the shift. */
  readonly shift: number;
}

/** Options of {@link layerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance. */
  readonly eps: number;
  /** RMSNorm, which does not subtract the mean; false if absent. */
  readonly rms?: boolean;
  /** [C] f32; ones if absent. */
  readonly weight?: Variable;
  /** [C] f32; zeros if absent. */
  readonly bias?: Variable;
  /** None if absent. The rows of x are those of all images, equally many each. */
  readonly ada?: ScaleShift;
  /** Type of y; that of activations if absent. */
  readonly dtype?: FloatType;
}

/** y = (norm(x) · weight + bias) · (1 + scale) + shift over the last axis of x. */
export function layerNorm(tape: Tape, x: Variable, options: LayerNormOptions): Variable {
  const { device } = tape;
  const { eps, rms = false, weight, bias, ada } = options;
  const y = tape.output(x.value.shape, "normed", options.dtype);
  const given = {
    x: x.value,
    eps,
    rms,
    ...weight && { weight: weight.value },
    ...bias && { bias: bias.value },
    ...ada && { modulation: modulationOf(x, ada) },
  };
  forward(device, { ...given, y });
  const inputs = [x, weight, bias, ada?.vectors].filter((input) => input !== undefined);
  return tape.record(y, inputs, (dy) => {
    layerNormBackward(device, {
      ...given,
      dy,
      dx: x.gradient,
      dweight: weight?.gradient ?? null,
      dbias: bias?.gradient ?? null,
      dmodulation: ada ? partialGradient(tape, ada.vectors) : null,
    });
  });
}

function modulationOf({ value: x }: Variable, { vectors, scale, shift }: ScaleShift): Modulation {
  const C = x.shape.at(-1)!;
  const { value: tensor } = vectors;
  const images = tensor.shape[0]!;
  return {
    tensor,
    scaleOffset: scale * C,
    shiftOffset: shift * C,
    stride: tensor.elements / images,
    rows: x.elements / C / images,
  };
}
