import { BitwiseError, type BitwiseErrorOptions } from "../../../engine/mod.ts";

/** Where a training went wrong. */
export interface TrainingPlace {
  /** Number of the step, from 1 as in the log. */
  readonly step: number;
  /** The first operation that went wrong, if it was found: its function, and the one that called it. */
  readonly operation?: string;
  /** Names of the parameters that it uses. */
  readonly parameters?: readonly string[];
}

/**
 * A training cannot go on: `not-finite`, where a loss or gradient is NaN or infinite, in f16 with the smallest loss scale, too.
 *
 * @example
 * ```ts ignore
 * await trainer.run().catch((error) => {
 *   if (error instanceof TrainingError) console.error(error.step, error.operation, error.message);
 * });
 * ```
 */
export class TrainingError extends BitwiseError {
  /** Always `"TrainingError"`, also when minified. */
  override readonly name: string = "TrainingError";
  /** Number of the step, from 1 as in the log. */
  readonly step: number;
  /** The first operation that went wrong; null if it is not known. */
  readonly operation: string | null;
  /** Names of the parameters that it uses. */
  readonly parameters: readonly string[];

  /** Makes an error. */
  constructor(code: string, message: string, place: TrainingPlace, options?: BitwiseErrorOptions) {
    super(code, message, options);
    this.step = place.step;
    this.operation = place.operation ?? null;
    this.parameters = place.parameters ?? [];
  }
}
