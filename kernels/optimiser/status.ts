import { KernelError, type Tensor } from "../../engine/mod.ts";

/** Places in the status of an optimiser, u32 [{@link STATUS_WORDS}]. Floats stand there as their bits. */
export const STATUS = {
  /** 1 if this step makes no update: its gradients are not finite, or a step before stopped the training. */
  SKIP: 0,
  /** Number of the step that stopped the training, from 1; 0 if none did. */
  STOPPED: 1,
  /** Number of updates. */
  UPDATES: 2,
  /** f32: what gradients are multiplied by, for their scale and for clipping. */
  FACTOR: 3,
  /** f32: 1 − β₁ⁿ after n updates. */
  CORRECTION1: 4,
  /** f32: 1 − β₂ⁿ. */
  CORRECTION2: 5,
  /** f32: 1 − the decay of the moving average. */
  EMA_REST: 6,
} as const;

/** Words of a status. */
export const STATUS_WORDS = 8;

/** Words that a step adds to a journal: the gradient norm as f32, STOPPED, and SKIP. */
export const ENTRY_WORDS = 3;

/** Checks the status of an optimiser. */
export function checkStatus({ dtype, elements, shape }: Tensor): void {
  if (dtype === "u32" && elements === STATUS_WORDS) return;
  throw new KernelError("bad-shape", `Cannot use ${dtype} [${shape}] as a status`);
}
