import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import finite from "../shared/finite.wgsl" with { type: "text" };
import philox from "../shared/philox.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import source from "./sample_bits.wgsl" with { type: "text" };

const kernel = defineKernel("sample_bits", source, [
  "delta",
  "noise",
  "bits",
  "delta_out",
  "non_finite",
], [
  "count",
  "rows",
  "width",
  "uncond",
  "cond_weight",
  "uncond_weight",
  "inverse_tau",
  "cut",
  "scale",
]);

/**
 * How a bit is chosen: `random` samples by seed, `uniforms` uses the caller's numbers in place of random ones, `greedy`
 * takes the likelier bit (0 on a tie).
 */
export type SampleMode = "random" | "greedy" | "uniforms";

/** Arguments of {@link sampleBits}. */
export interface SampleBitsArgs {
  /** logit 1 − logit 0, f32 or f16: [B, L, d], or [2·B, L, d] if guided, conditional images first. */
  readonly delta: Tensor;
  /** [B, L, d] u32, 0 or 1. */
  readonly bits: Tensor;
  /** B. */
  readonly batch: number;
  /** Whether to mix the halves of delta: cfg · cond + (1 − cfg) · uncond. */
  readonly guided: boolean;
  /** Guidance scale. */
  readonly cfg: number;
  /** Temperature, which divides the logits before they are mixed. */
  readonly tau: number;
  /** 1 keeps only the likelier bit (on a tie, both); anything else keeps both. */
  readonly topK: number;
  /** Above 0, drops the less likely bit if its probability is at most 1 − topP (on a tie, bit 0). */
  readonly topP: number;
  /** How a bit is chosen. */
  readonly mode: SampleMode;
  /** For `random`: [B, 2] u32, low and high word of each image's seed. */
  readonly seeds?: Tensor;
  /** Index of the scale: each scale of a seed has random numbers of its own. */
  readonly scale: number;
  /** For `uniforms`: [B, L, d] f32 in [0, 1); a bit is 1 if its number is below the probability of 1. */
  readonly uniforms?: Tensor;
  /** [1] u32: set to 1 if `delta` holds NaN or an infinity, otherwise left as it is. */
  readonly nonFinite: Tensor;
  /** If given, [B, L, d] f32: receives the difference after temperature and guidance. */
  readonly deltaOut?: Tensor;
}

const UNIFORM: Record<SampleMode, string> = {
  // the image is not in the counter: an image depends on its own seed alone
  random: `${philox}
fn uniform_at(i: u32) -> f32 {
  let token = i / params.width;
  let seed = 2 * (token / params.rows);
  let counter = vec4(0u, params.scale, token % params.rows, i % params.width);
  return unit(philox(counter, vec2(noise[seed], noise[seed + 1])).x);
}`,
  uniforms: "fn uniform_at(i: u32) -> f32 { return bitcast<f32>(noise[i]); }",
  greedy: "fn uniform_at(i: u32) -> f32 { return 0.0; }",
};

/** All prelude lines. */
const prelude = memoised((mode: SampleMode): string => `${finite}\n${UNIFORM[mode]}`);

/** Means no threshold: WGSL cannot write infinity. */
const NEVER = 3.4e38;
/** A threshold that every difference but a tie reaches. */
const SMALLEST = 2 ** -126;

/** The |logit difference| at which the less likely bit is dropped. */
function cutOf(topK: number, topP: number): number {
  const byK = topK === 1 ? SMALLEST : NEVER;
  // 1/(1 + e^|z|) ≤ 1 − topP; for topP below 1/2 that is every |z|
  const byP = topP <= 0 || topP >= 1 ? NEVER : Math.log(topP / (1 - topP));
  return Math.max(0, Math.min(byK, byP));
}

/**
 * Samples the bits of a scale: temperature, guidance, top-k, top-p, two-way softmax, and a random number of
 * Philox4x32-10 (`autoregressive_infer_cfg` and `sample_with_top_k_top_p_also_inplace_modifying_logits_` in
 * infinity/models/infinity.py). Key = the image's seed, counter = (0, scale, token, bit), number = the first word's
 * high 24 bits.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, or the mode's seeds or uniforms are missing.
 */
export function sampleBits(device: Device, args: SampleBitsArgs): void {
  const { delta, bits, batch, guided, cfg, tau, topK, topP, mode, scale, nonFinite, deltaOut } =
    args;
  const [B, L = 0, d = 0] = bits.shape;
  const count = bits.elements;
  if (
    B !== batch || bits.shape.length !== 3 || delta.elements !== (guided ? 2 : 1) * count ||
    (deltaOut && deltaOut.elements !== count) || nonFinite.dtype !== "u32"
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot sample bits [${bits.shape}] of ${batch} ${guided ? "guided " : ""}images from ` +
        `[${delta.shape}]`,
    );
  }
  const noise = { random: args.seeds, uniforms: args.uniforms, greedy: null }[mode];
  const size = { random: 2 * batch, uniforms: count, greedy: 0 }[mode];
  if ((noise?.elements ?? 0) !== size) {
    throw new KernelError(
      "bad-shape",
      `Cannot sample bits [${bits.shape}]: ${mode} takes ${size} numbers, not ${
        noise?.elements ?? "none"
      }`,
    );
  }
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { X: delta.dtype, GREEDY: mode === "greedy", TRACE: deltaOut !== undefined, WG },
    functions: prelude(mode),
    bind: { delta, noise: noise ?? null, bits, delta_out: deltaOut ?? null, non_finite: nonFinite },
    params: {
      count,
      rows: L,
      width: d,
      uncond: guided ? count : 0,
      cond_weight: guided ? cfg : 1,
      uncond_weight: guided ? 1 - cfg : 0,
      inverse_tau: 1 / tau,
      cut: cutOf(topK, topP),
      scale,
    },
    workgroups,
  });
}
