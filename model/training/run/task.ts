import type { Tensor } from "../../../engine/mod.ts";
import type { Parameters } from "../tape/parameters.ts";
import type { Tape } from "../tape/tape.ts";

/** Which pass of a training is computed. */
export interface Pass {
  /** Number of the step, from 0. */
  readonly step: number;
  /** Number of the pass in the step, from 0. */
  readonly micro: number;
  /** Share of the training that is done, from 0 to 1. */
  readonly progress: number;
}

/** What came of a pass. */
export interface PassResult {
  /**
   * f32 tensors of any shapes, by names, the same in all passes. The first element of `loss` is the loss. They are means
   * over the pass, and are reported as means over passes and steps.
   */
  readonly metrics: { readonly loss: Tensor; readonly [name: string]: Tensor };
  /** Number of images, for their rate. */
  readonly images: number;
  /** Number of tokens, likewise; 0 if absent. */
  readonly tokens?: number;
  /** What is disposed once the tape is unwound: metrics, inputs, constants of the tape. */
  readonly owned?: readonly Disposable[];
}

/** What is trained: parameters, and how their gradients come about. */
export interface Task {
  /** All parameters that learn. */
  readonly parameters: Parameters;
  /**
   * Computes the loss of a pass, with a gradient that is multiplied by the tape's loss scale, and leaves the tape to be
   * unwound. It must depend on the pass alone: a training that goes on after an interruption, or looks for what went
   * wrong, asks for passes again.
   */
  compute(tape: Tape, pass: Pass): PassResult | Promise<PassResult>;
}
