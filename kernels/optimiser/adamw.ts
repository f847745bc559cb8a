import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./adamw.wgsl" with { type: "text" };
import { checkStatus, STATUS } from "./status.ts";

const kernel = defineKernel("adamw", source, ["status", "value", "grad", "m", "v", "ema"], [
  "count",
  "rate",
  "keep",
  "beta1",
  "rest1",
  "beta2",
  "rest2",
  "eps",
]);

/** Arguments of {@link adamw}. All tensors but the status are f32 of the same size. */
export interface AdamWArgs {
  /** u32 [8], as globalNorm() left it. */
  readonly status: Tensor;
  /** Parameters, updated in place. */
  readonly value: Tensor;
  /** Their gradients, not yet scaled or clipped; zeros afterwards. */
  readonly grad: Tensor;
  /** Mean of gradients, updated in place. */
  readonly m: Tensor;
  /** Mean of their squares, updated in place. */
  readonly v: Tensor;
  /** Moving average of parameters, updated in place; null for none. */
  readonly ema: Tensor | null;
  /** Learning rate. */
  readonly rate: number;
  /** Weight decay, as a share of the learning rate. */
  readonly decay: number;
  /** Decays of the two means. */
  readonly betas: readonly [number, number];
  /** Added to the deviation. */
  readonly eps: number;
}

/**
 * One update of AdamW with decoupled weight decay:
 * value ← value · (1 − rate · decay) − rate · m̂ / (√v̂ + eps). If the status says that there is no update, only the
 * gradient is set to zero.
 *
 * @throws {KernelError} `bad-shape`: types or sizes disagree.
 */
export function adamw(device: Device, args: AdamWArgs): void {
  const { status, value, grad, m, v, ema, rate, decay, betas: [beta1, beta2], eps } = args;
  checkStatus(status);
  const all = [value, grad, m, v, ...ema ? [ema] : []];
  if (all.some(({ dtype, elements }) => dtype !== "f32" || elements !== value.elements)) {
    const shapes = all.map(({ dtype, shape }) => `${dtype} [${shape}]`);
    throw new KernelError("bad-shape", `Cannot update ${shapes.join(", ")}`);
  }
  const { per, type } = vectorsOf(value.elements); // a view may end within a vec4
  const count = value.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, EMA: ema !== null, V: type("f32"), ...STATUS },
    bind: { status, value, grad, m, v, ema },
    params: {
      count,
      rate,
      keep: 1 - rate * decay,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      eps,
    },
    workgroups,
  });
}
