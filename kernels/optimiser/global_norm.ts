import { defineKernel, type Device, grid, KernelError, type Tensor } from "../../engine/mod.ts";
import finite from "../shared/finite.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import { repeat } from "../shared/unroll.ts";
import partsSource from "./global_norm_parts.wgsl" with { type: "text" };
import source from "./global_norm.wgsl" with { type: "text" };
import { checkStatus, ENTRY_WORDS, STATUS } from "./status.ts";

const partsKernel = defineKernel("global_norm_parts", partsSource, ["x", "parts"], [
  "count",
  "first",
  "unscale",
]);

const kernel = defineKernel("global_norm", source, ["parts", "status", "journal"], [
  "count",
  "unscale",
  "clip",
  "beta1",
  "rest1",
  "beta2",
  "rest2",
  "ema",
  "step",
  "stop",
  "loss",
  "entry",
]);

/** Elements of an invocation: parts are few then. */
const EACH = 32;

/** Parts that are added in one go: more are added in parts again. */
const FEW = 4096;

/** A sum over {@link EACH} elements without a loop, in which loads are slow. */
const sumEach = `fn sum_each(at: u32) -> V {
  var sum = term(at);
${repeat(EACH - 1, (k) => `  sum += term(at + ${k + 1} * WG);`)}
  return sum;
}
`;
const SUMS = {
  vec4: `${sumEach}fn total(v: V) -> f32 { return (v.x + v.y) + (v.z + v.w); }`,
  scalar: `${sumEach}fn total(v: V) -> f32 { return v; }`,
} as const;

/** Elements as they are bound: a view may end within a vec4. */
function vectors({ elements }: Tensor): { V: keyof typeof SUMS; count: number } {
  return elements % 4 === 0 ? { V: "vec4", count: elements / 4 } : { V: "scalar", count: elements };
}

/** Adds all elements of tensors, or the squares of them times `unscale`, up to the last few. The caller owns the result. */
function sumParts(
  device: Device,
  tensors: readonly Tensor[],
  square: boolean,
  unscale: number,
): Tensor {
  const { WG } = spread(device, 1);
  const shares = tensors.map((x) => {
    const groups = Math.ceil(vectors(x).count / (WG * EACH));
    return { x, ...vectors(x), groups };
  });
  const total = shares.reduce((sum, { groups }) => sum + groups * WG, 0);
  const parts = device.tensor("f32", [Math.max(1, total)], "parts of a norm");
  let first = 0;
  for (const { x, V, count, groups } of shares) {
    device.run(partsKernel, {
      specialise: { WG, EACH, SQUARE: square, V: V === "vec4" ? "vec4<f32>" : "f32" },
      functions: SUMS[V],
      bind: { x, parts },
      params: { count, first, unscale },
      workgroups: grid(groups),
    });
    first += groups * WG;
  }
  if (total <= FEW) return parts;
  using _ = parts;
  return sumParts(device, [parts], false, 1);
}

/** Arguments of {@link globalNorm}. */
export interface GlobalNormArgs {
  /** All gradients, f32 of any shapes. */
  readonly grads: readonly Tensor[];
  /** u32 [8], see status.ts: what {@link adamw} does next. */
  readonly status: Tensor;
  /** f32: holds the loss of this step already, and receives the three words of the step's entry. */
  readonly journal: Tensor;
  /** Element of the journal that is the loss, which must be finite. */
  readonly loss: number;
  /** First element of the entry in the journal: the norm, then as u32 STOPPED and SKIP. */
  readonly entry: number;
  /** What gradients are multiplied by: one over the loss scale and the number of accumulated batches. */
  readonly unscale: number;
  /** Largest norm; larger gradients are scaled by clip / (norm + 1e-6). Null for any. */
  readonly clip: number | null;
  /** Decays of AdamW's moments. */
  readonly betas: readonly [number, number];
  /** Largest decay of the moving average of parameters, whose n-th is at most (1 + n) / (10 + n). */
  readonly ema: number;
  /** Number of this step, from 0. */
  readonly step: number;
  /** Whether a norm that is not finite stops all updates from now on. A loss that is not finite always does. */
  readonly stop: boolean;
}

/**
 * The norm of all gradients together, √Σ(unscale · g)², and what an update with them is: see {@link GlobalNormArgs}.
 * Nothing is read back.
 *
 * @throws {KernelError} `bad-shape`: types or places disagree.
 */
export function globalNorm(device: Device, args: GlobalNormArgs): void {
  const { grads, status, journal, loss, entry, unscale, clip, betas: [beta1, beta2] } = args;
  checkStatus(status);
  const inside = [loss, entry, entry + ENTRY_WORDS - 1]
    .every((place) => Number.isInteger(place) && place >= 0 && place < journal.elements);
  if (journal.dtype !== "f32" || !inside || grads.some(({ dtype }) => dtype !== "f32")) {
    const types = grads.map(({ dtype }) => dtype);
    throw new KernelError(
      "bad-shape",
      `Cannot take a norm of ${types} into ${journal.dtype} [${journal.shape}], ${loss}, ${entry}`,
    );
  }
  using parts = sumParts(device, grads, true, unscale);
  device.run(kernel, {
    specialise: { WG: spread(device, 1).WG, ...STATUS },
    functions: finite,
    bind: { parts, status, journal },
    params: {
      count: grads.every(({ elements }) => elements === 0) ? 0 : parts.elements,
      unscale,
      clip: clip ?? 0,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      ema: args.ema,
      step: args.step,
      stop: Number(args.stop),
      loss,
      entry,
    },
    workgroups: [1],
  });
}
