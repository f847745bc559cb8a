/** Rows of the kernels of the optimiser. */

import type { Tensor } from "../../engine/mod.ts";
import { adamw } from "../../kernels/optimiser/adamw.ts";
import { globalNorm } from "../../kernels/optimiser/global_norm.ts";
import { STATUS, STATUS_WORDS } from "../../kernels/optimiser/status.ts";
import type { Row } from "./row.ts";

/** A page of parameters. */
export const OPTIMISER_ROWS: readonly Row[] = [
  {
    name: "adamw",
    shape: "8M, with average",
    setup(device, t) {
      const [value, grad, m, v, ema] = [0, 1, 2, 3, 4].map(() => t.f32(2 ** 23)) as Tensor[];
      device.upload(v!, new Float32Array(2 ** 23).fill(1));
      const one = new Uint32Array(Float32Array.of(1).buffer)[0]!;
      const status = t.u32([STATUS_WORDS], (i) => i < STATUS.FACTOR ? 0 : one);
      const state = { value: value!, grad: grad!, m: m!, v: v!, ema: ema! };
      const options = { rate: 1e-9, decay: 0.05, betas: [0.9, 0.97], eps: 1e-8 } as const;
      return {
        run: () => adamw(device, { ...options, ...state, status }),
        bytes: 10 * value!.byteLength,
      };
    },
  },
  {
    name: "global_norm",
    shape: "8M",
    setup(device, t) {
      const [grad, journal] = [t.f32(2 ** 23), t.f32(64)];
      const status = t.u32([STATUS_WORDS]);
      const places = { loss: 0, entry: 1, step: 0, stop: true };
      const options = { unscale: 1, clip: 1, betas: [0.9, 0.97], ema: 0.99 } as const;
      return {
        run: () => globalNorm(device, { ...places, ...options, grads: [grad], status, journal }),
        bytes: grad.byteLength,
      };
    },
  },
];
