import type { Device } from "../../engine/mod.ts";
import { schedules } from "../../model/config/schedule.ts";
import { scalesLayout } from "../../model/training/ops/attention/attention_layouts.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { attentionBackward } from "../../kernels/attention/attention_backward.ts";
import { backwardMatrices } from "../../kernels/attention/attention_backward_matrix.ts";
import { GRADIENT_TOLERANCE } from "../../kernels/attention/attention_backward_proof.ts";
import { onePass } from "../../kernels/attention/attention_one_pass.ts";
import { F16_TOLERANCE, peakedAttention } from "../../kernels/attention/attention_proof.ts";
import type { Tensors } from "./row.ts";

/** Scales of the 2B model at 1024²; 4096 × 10521 is the last one. */
const SCALES = [
  { queries: 16, keys: 21, sharpness: 4 },
  { queries: 256, keys: 521, sharpness: 20 },
  { queries: 1024, keys: 2521, sharpness: 100 },
  { queries: 4096, keys: 10521, sharpness: 100 },
] as const;

/** Probes of the choice "attention matrix", proved by the plain f32 kernel. */
export function onePassProbes(device: Device) {
  const [heads, headDim] = [16, 128];
  if (!onePass(device, headDim)) return [];
  return SCALES.map((size) => ({
    size: size.queries,
    label: `${heads} heads, ${size.queries} q, ${size.keys} k, hd ${headDim}, f16, ` +
      `sharpness ${size.sharpness}`,
    setup(device: Device, t: Tensors) {
      const args = peakedAttention(device, { ...size, heads, headDim });
      for (const tensor of [args.q, args.k, args.v, args.y, args.spans]) t.use(tensor);
      const plain = () => attention(device, { ...args, variant: "workgroup" });
      return { run: () => attention(device, args), y: args.y, plain, tolerance: F16_TOLERANCE };
    },
  }));
}

/** Probes of the choice "attention backward": a layer of the 2B model that learns images of 256², 512² and 1024². */
export function backwardProbes(device: Device) {
  const [heads, headDim] = [16, 128];
  if (!backwardMatrices(device, headDim)) return [];
  return (["0.06M", "0.25M", "1M"] as const).map((pixels) => {
    const tokens = schedules(1, pixels).map(([h, w]) => h * w);
    const rows = tokens.reduce((sum, n) => sum + n, 0);
    return {
      size: Math.max(...tokens),
      label: `${heads} heads, scales of ${rows} tokens, hd ${headDim}, f16, backwards`,
      setup: (device: Device, t: Tensors) => backwardTrial(device, t, { tokens, heads, headDim }),
    };
  });
}

/** Sequences to send gradients through. */
interface Sequences {
  readonly tokens: readonly number[];
  readonly heads: number;
  readonly headDim: number;
}

/** Attention backwards over one sequence of scales, proved by the plain kernel. */
export function backwardTrial(device: Device, t: Tensors, { tokens, heads, headDim }: Sequences) {
  const C = heads * headDim;
  const layout = t.adopt(scalesLayout(device, 1, tokens), (layout) => layout.dispose());
  const { rows } = layout.byQueries;
  const halves = (width: number) => {
    const values = Float16Array.from({ length: rows * width }, (_, i) => Math.sin(i * 1.7));
    return t.use(device.from("f16", [rows, width], values));
  };
  const [qkv, dy, y] = [halves(3 * C), halves(C), t.use(device.tensor("f32", [rows, 3 * C]))];
  const gradient = { tensor: y, add: false };
  const stride = 3 * C;
  const args = {
    ...{ q: qkv, k: qkv, v: qkv, dy, layout, heads, headDim, scale: 1 / Math.sqrt(headDim) },
    ...{ qStride: stride, kStride: stride, kOffset: C, vStride: stride, vOffset: 2 * C },
    ...{ dq: gradient, dk: gradient, dv: gradient },
  };
  return {
    run: () => attentionBackward(device, args),
    y,
    plain: () => attentionBackward(device, { ...args, variant: "tiles" }),
    tolerance: GRADIENT_TOLERANCE,
  };
}
