import { resample as forward, type ResampleArgs } from "../../../../kernels/bits/resample.ts";
import { resampleBackward } from "../../../../kernels/bits/resample_backward.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/**
 * y [B, height, width, C] f32: x [B, H, W, C] f32, resized by its mean over areas or linearly
 * (`torch.nn.functional.interpolate`). The same size gives x itself.
 */
export function resample(
  tape: Tape,
  x: Variable,
  mode: ResampleArgs["mode"],
  height: number,
  width: number,
): Variable {
  const { device } = tape;
  const [B = 0, H, W, C = 0] = x.value.shape;
  if (H === height && W === width) return x;
  const y = tape.output([B, height, width, C], "resized", "f32");
  forward(device, { x: x.value, y, mode });
  return tape.record(y, [x], (dy) => {
    x.receive((dx) => resampleBackward(device, { dy, dx, mode }));
  });
}
