import { addGated as forward } from "../../../../kernels/norm/add_gated.ts";
import { addGatedBackward } from "../../../../kernels/norm/add_gated_backward.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";
import { partialGradient } from "./partial_gradient.ts";

/** Factors [C] of each image, or of all, f32. */
export interface Gates {
  /** [B, n·C], one row for each image; or [C], one for all. */
  readonly vectors: Variable;
  /** Which of the n vectors it is; 0 if absent. */
  readonly index?: number;
}

/** y = x + gate · v, of the type of x: a residual connection. The rows of x are those of all images, equally many each. */
export function addGated(tape: Tape, x: Variable, v: Variable, gates?: Gates): Variable {
  const { device } = tape;
  const { shape, elements, dtype } = x.value;
  const y = tape.output(shape, "residual stream", dtype as "f32" | "f16");
  const C = shape.at(-1)!;
  const tensor = gates?.vectors.value;
  const images = tensor && tensor.shape.length > 1 ? tensor.shape[0]! : 1;
  const gate = tensor && {
    tensor,
    offset: (gates.index ?? 0) * C,
    stride: images > 1 ? tensor.elements / images : 0,
    rows: elements / C / images,
  };
  forward(device, { x: x.value, v: v.value, ...gate && { gate }, y });
  const inputs = gates ? [x, v, gates.vectors] : [x, v];
  return tape.record(y, inputs, (dy) => {
    addGatedBackward(device, {
      dy,
      v: v.value,
      ...gate && { gate },
      dv: v.gradient,
      dgate: gates ? partialGradient(tape, gates.vectors) : null,
    });
    x.take(dy);
  });
}
