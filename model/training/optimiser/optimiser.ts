import { CheckpointError, type Device, type Tensor } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { fill } from "../../../kernels/elementwise/fill.ts";
import { adamw } from "../../../kernels/optimiser/adamw.ts";
import { globalNorm } from "../../../kernels/optimiser/global_norm.ts";
import { STATUS, STATUS_WORDS } from "../../../kernels/optimiser/status.ts";
import { type Page, type Parameters, placeIn } from "../tape/parameters.ts";

/** Options of an {@link Optimiser}. */
export interface OptimiserOptions {
  /** Decays of the means of gradients and of their squares; 0.9 and 0.97, the official ones, if absent. */
  readonly betas?: readonly [number, number];
  /** Added to the deviation; 1e-8 if absent. */
  readonly eps?: number;
  /** Weight decay of the parameters that decay, as a share of the learning rate; 0.05 if absent. */
  readonly weightDecay?: number;
  /** Largest norm of all gradients together; null for any; 5, the official one, if absent. */
  readonly clip?: number | null;
  /** Largest decay of a moving average of parameters; null for no average; null if absent. */
  readonly ema?: number | null;
}

/** Arguments of {@link Optimiser.step}. */
export interface OptimiserStep {
  /** Number of the step, from 0. */
  readonly step: number;
  /** Learning rate. */
  readonly rate: number;
  /** What gradients are multiplied by: one over the loss scale and the number of batches that they are sums of. */
  readonly unscale: number;
  /** Whether a norm that is not finite stops all further updates; otherwise this one alone is left out. */
  readonly stop: boolean;
  /** f32: holds the loss, and receives an entry; see globalNorm(). */
  readonly journal: Tensor;
  /** Element of the journal that is the loss. */
  readonly loss: number;
  /** First element of the entry. */
  readonly entry: number;
}

/** What is kept of a page of parameters. */
interface State {
  readonly page: Page;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly ema: Tensor | null;
}

/** What an {@link Optimiser} keeps of a parameter: views of its shape. */
export interface Moments {
  /** Mean of gradients. */
  readonly m: Tensor;
  /** Mean of their squares. */
  readonly v: Tensor;
  /** Moving average of the parameter; null if none is asked for. */
  readonly ema: Tensor | null;
}

/**
 * AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) over all pages of parameters, with
 * clipping by the norm of all gradients and a moving average, whose n-th decay is min(ema, (1 + n) / (10 + n)).
 *
 * A step is recorded and nothing is read back: what it does depends on the GPU's own numbers. A step whose loss or
 * gradient norm is not finite changes no parameter, and no step after it does.
 */
export class Optimiser {
  /** All options, with defaults. */
  readonly options: Required<OptimiserOptions>;
  /** u32, see kernels/optimiser/status.ts. */
  readonly status: Tensor;
  readonly #states: readonly State[];
  readonly #moments: Map<string, Moments> = new Map();

  /**
   * Begins without any update. Parameters must have their values.
   *
   * @throws {OutOfMemoryError} Moments do not fit.
   */
  constructor(
    private readonly device: Device,
    readonly parameters: Parameters,
    options: OptimiserOptions = {},
  ) {
    const { betas = [0.9, 0.97], eps = 1e-8, weightDecay = 0.05, clip = 5, ema = null } = options;
    this.options = { betas, eps, weightDecay, clip, ema };
    const { status, states } = device.allOrNothing(() => ({
      status: device.tensor("u32", [STATUS_WORDS], "optimiser status"),
      states: parameters.pages.map((page) => {
        const make = (label: string) =>
          device.tensor("f32", [page.value.elements], label, "weights");
        return {
          page,
          m: make("means of gradients"),
          v: make("means of squares"),
          ema: ema === null ? null : make("average of parameters"),
        };
      }),
    }));
    this.status = status;
    this.#states = states;
    for (const { page: { places }, m, v, ema } of states) {
      for (const place of places) {
        const view = (memory: Tensor) => placeIn(memory, place);
        this.#moments.set(place.spec.name, { m: view(m), v: view(v), ema: ema && view(ema) });
      }
    }
    this.reset();
  }

  /** Begins anew: no updates, moments of zero, and the average at the parameters' values. */
  reset(): void {
    this.device.upload(this.status, new Uint32Array(STATUS_WORDS));
    for (const { page: { value }, m, v, ema } of this.#states) {
      for (const moments of [m, v]) fill(this.device, moments, 0);
      if (ema) accumulate(this.device, value, { tensor: ema, add: false });
    }
  }

  /** Records an update of all parameters, and sets their gradients to zero. */
  step({ step, rate, unscale, stop, journal, loss, entry }: OptimiserStep): void {
    const { device, status, options: { betas, eps, weightDecay, clip, ema } } = this;
    const grads = this.#states.map(({ page }) => page.grad);
    const places = { journal, loss, entry };
    globalNorm(device, {
      ...places,
      grads,
      status,
      unscale,
      clip,
      betas,
      ema: ema ?? 0,
      step,
      stop,
    });
    for (const { page: { value, grad, decay }, m, v, ema } of this.#states) {
      const state = { status, value, grad, m, v, ema };
      adamw(device, { ...state, rate, decay: decay ? weightDecay : 0, betas, eps });
    }
  }

  /** All numbers that make up the training's state, page by page. */
  *pages(): Generator<{ kind: string; page: Tensor; places: Page["places"] }> {
    for (const { page: { value, places }, m, v, ema } of this.#states) {
      for (const [kind, page] of Object.entries({ value, m, v, ema })) {
        if (page) yield { kind, page, places };
      }
    }
  }

  /**
   * What is kept of a parameter.
   *
   * @throws {CheckpointError} `missing-tensor`: there is none of that name.
   */
  moments(name: string): Moments {
    const moments = this.#moments.get(name);
    if (moments) return moments;
    throw new CheckpointError("missing-tensor", `Cannot find the moments of ${name}`);
  }

  /** Takes over the status of another optimiser, whose moments are in {@link Optimiser.pages} already. */
  restore(status: Uint32Array<ArrayBuffer>): void {
    this.device.upload(this.status, status.with(STATUS.STOPPED, 0));
  }

  /** Frees all but the parameters. */
  dispose(): void {
    this.status.dispose();
    for (const { m, v, ema } of this.#states) {
      for (const tensor of [m, v, ema]) tensor?.dispose();
    }
  }

  /** Calls {@link Optimiser.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
