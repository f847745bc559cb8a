/** Rows of the backward passes of norms, activations and tokens. */

import { activateBackward } from "../kernels/elementwise/activate_backward.ts";
import { addGated } from "../kernels/norm/add_gated.ts";
import { addGatedBackward } from "../kernels/norm/add_gated_backward.ts";
import { fill } from "../kernels/elementwise/fill.ts";
import { gatedGeluBackward } from "../kernels/elementwise/gated_gelu_backward.ts";
import { layerNormBackward } from "../kernels/norm/layer_norm_backward.ts";
import type { Row } from "./kernels.ts";

/** What is read or written at least once counts as work. */
export const NORM_ROWS: readonly Row[] = [
  {
    name: "activate_backward",
    shape: "4M, GELU",
    setup(device, t) {
      const [x, dy, dx] = [t.f32(2 ** 22), t.f32(2 ** 22), t.f32(2 ** 22)];
      return {
        run: () =>
          activateBackward(device, { x, dy, kind: "gelu", dx: { tensor: dx, add: false } }),
        bytes: 3 * x.byteLength,
      };
    },
  },
  {
    name: "gated_gelu_backward",
    shape: "512x5120",
    setup(device, t) {
      const [h, dy, dh] = [t.f32(512, 2 * 5120), t.f32(512, 5120), t.f32(512, 2 * 5120)];
      return {
        run: () => gatedGeluBackward(device, { h, dy, dh: { tensor: dh, add: false } }),
        bytes: h.byteLength + dy.byteLength + dh.byteLength,
      };
    },
  },
  {
    name: "fill",
    shape: "4M",
    setup(device, t) {
      const y = t.f32(2 ** 22);
      return { run: () => fill(device, y, 0), bytes: y.byteLength };
    },
  },
  {
    name: "layer_norm_backward",
    shape: "1024x1024",
    setup(device, t) {
      const [x, dy, dx] = [t.f32(1024, 1024), t.f32(1024, 1024), t.f32(1024, 1024)];
      const args = { x, dy, eps: 1e-6, dx: { tensor: dx, add: true } };
      return { run: () => layerNormBackward(device, args), bytes: 4 * x.byteLength };
    },
  },
  {
    name: "layer_norm_backward",
    shape: "8 images of 240x1024, AdaLN",
    setup(device, t) {
      const [x, dy, dx] = [t.f32(1920, 1024), t.f32(1920, 1024), t.f32(1920, 1024)];
      const [tensor, gradient] = [t.f32(8, 6 * 1024), t.f32(8, 6 * 1024)];
      const places = { scaleOffset: 2048, shiftOffset: 4096, stride: 6144, rows: 240 };
      const args = {
        x,
        dy,
        eps: 1e-6,
        modulation: { tensor, ...places },
        dx: { tensor: dx, add: true },
        dmodulation: { tensor: gradient, add: true },
      };
      return { run: () => layerNormBackward(device, args), bytes: 4 * x.byteLength };
    },
  },
  {
    name: "add_gated",
    shape: "8 images of 240x1024",
    setup(device, t) {
      const [x, v, y] = [t.f32(1920, 1024), t.f32(1920, 1024), t.f32(1920, 1024)];
      const gate = { tensor: t.f32(8, 6144), offset: 1024, stride: 6144, rows: 240 };
      return { run: () => addGated(device, { x, v, gate, y }), bytes: 3 * x.byteLength };
    },
  },
  {
    name: "add_gated_backward",
    shape: "8 images of 240x1024",
    setup(device, t) {
      const [dy, v, dv] = [t.f32(1920, 1024), t.f32(1920, 1024), t.f32(1920, 1024)];
      const gate = { tensor: t.f32(8, 6144), offset: 1024, stride: 6144, rows: 240 };
      const [wanted, dgate] = [{ tensor: dv, add: false }, { tensor: t.f32(8, 6144), add: true }];
      const args = { dy, v, gate, dv: wanted, dgate };
      return { run: () => addGatedBackward(device, args), bytes: 3 * v.byteLength };
    },
  },
];
