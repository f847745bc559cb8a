/** How the learning rate changes. */
export interface Schedule {
  /** Highest learning rate. */
  readonly peak: number;
  /** Steps over which the rate rises in equal parts to its peak; 0 for none. */
  readonly warmup: number;
  /** How it falls afterwards, over the rest of the training: not at all before the peak is reached. */
  readonly shape: "cosine" | "linear" | "constant";
  /** What it falls to, as a share of the peak. */
  readonly final: number;
}

/**
 * The learning rate of a step, as the official `lr_wd_annealing()` has it.
 *
 * @param step Number of the step, from 0.
 * @param progress Share of the training after the warm-up that is done, from 0 to 1: of its steps, or of its time.
 */
export function learningRate(
  { peak, warmup, shape, final }: Schedule,
  step: number,
  progress: number,
): number {
  const rise = Math.min(1, (step + 1) / Math.max(1, warmup));
  return peak * rise * (final + (1 - final) * remaining(shape, progress));
}

/** How far a rate still is above its final value, from 1 to 0. */
function remaining(shape: Schedule["shape"], progress: number): number {
  const at = Math.min(1, Math.max(0, progress));
  switch (shape) {
    case "constant":
      return 1;
    case "linear":
      return 1 - at;
    case "cosine":
      return (1 + Math.cos(Math.PI * at)) / 2;
  }
}
