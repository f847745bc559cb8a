/** Rows of the backward passes of norms, activations and tokens. */

import { activateBackward } from "../../kernels/elementwise/activate_backward.ts";
import { addGated } from "../../kernels/norm/add_gated.ts";
import { addGatedBackward } from "../../kernels/norm/add_gated_backward.ts";
import { fill } from "../../kernels/elementwise/fill.ts";
import { gatedGeluBackward } from "../../kernels/elementwise/gated_gelu_backward.ts";
import { groupNormBackward } from "../../kernels/norm/group_norm_backward.ts";
import { layerNormBackward } from "../../kernels/norm/layer_norm_backward.ts";
import { chooseRows } from "../../kernels/tokens/choose_rows.ts";
import { embeddingBackward } from "../../kernels/tokens/embedding_backward.ts";
import { Lookups } from "../../kernels/tokens/lookups.ts";
import { tokenInputBackward } from "../../kernels/tokens/token_input_backward.ts";
import type { Row } from "./row.ts";

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
  {
    name: "choose_rows",
    shape: "4096 rows of 2048",
    setup(device, t) {
      const [x, table, y] = [t.f32(4096, 2048), t.f32(64, 2048), t.f32(4096, 2048)];
      const ids = t.u32([4096], (i) => i % 1024 < 64 ? i % 64 : 2 ** 32 - 1);
      const args = { x, ids, rows: 64, table, y: { tensor: y, add: false } };
      return { run: () => chooseRows(device, args), bytes: 2 * x.byteLength };
    },
  },
  {
    name: "embedding_backward",
    shape: "4096 of 3144x1024",
    setup(device, t) {
      const [dy, table] = [t.f32(4096, 1024), t.f32(3144, 1024)];
      const ids = Uint32Array.from({ length: 4096 }, (_, i) => i % 4 ? i * i % 3144 : 1);
      const lookups = t.use(new Lookups(device, ids, 3144));
      const args = { dy, lookups, dtable: { tensor: table, add: true } };
      return { run: () => embeddingBackward(device, args), bytes: dy.byteLength };
    },
  },
  {
    name: "token_input_backward",
    shape: "16 images of 521x256",
    setup(device, t) {
      const [B, L, C] = [16, 521, 256];
      const dy = t.f32(B, L, C);
      const levels = t.use(new Lookups(device, Array.from({ length: L }, (_, l) => l >> 6), 9));
      const to = (...shape: number[]) => ({ tensor: t.f32(...shape), add: false });
      const own = { dpooled: to(B, C), dwords: to(B, L - 1, C) };
      const args = { dy, levels, ...own, dposition: to(C), dtable: to(9, C) };
      return { run: () => tokenInputBackward(device, args), bytes: 2 * dy.byteLength };
    },
  },
  {
    name: "group_norm_backward",
    shape: "64x64x512, 32 groups, SiLU",
    setup(device, t) {
      const shape = [1, 64, 64, 512], C = 512;
      const [x, dy, dx] = [t.f32(...shape), t.f32(...shape), t.f32(...shape)];
      const [weight, bias, dweight, dbias] = [t.f32(C), t.f32(C), t.f32(C), t.f32(C)];
      const args = {
        x,
        dy,
        moments: t.f32(1, 3, C),
        weight,
        bias,
        groups: 32,
        activation: "silu",
        dx: { tensor: dx, add: false },
        dweight: { tensor: dweight, add: true },
        dbias: { tensor: dbias, add: true },
      } as const;
      // x and dy are read twice: for the sums, then for dx
      return { run: () => groupNormBackward(device, args), bytes: 5 * x.byteLength };
    },
  },
];
