import type { Device } from "../engine/mod.ts";
import { attention } from "../kernels/attention/attention.ts";
import { onePass } from "../kernels/attention/attention_one_pass.ts";
import { F16_TOLERANCE, peakedAttention } from "../kernels/attention/attention_proof.ts";
import type { Tensors } from "./kernels.ts";

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
