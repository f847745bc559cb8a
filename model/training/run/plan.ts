import { type Device, formatBytes, OutOfMemoryError } from "../../../engine/mod.ts";
import type { Task } from "./task.ts";
import { Trainer } from "./trainer.ts";
import type { TrainerOptions } from "./trainer_options.ts";

/** Steps of a plan: the second finds what the first has freed. */
const STEPS = 2;

/**
 * Most bytes that a training holds, by doing two steps of it where nothing is computed.
 *
 * @param device Where it is to run: kernels choose as they do there.
 * @param open Makes the task on the device that it is given, which computes nothing: read-backs are zeros.
 * @param options What its trainer is asked to do; checkpoints, reports and ends do not count.
 */
export async function planStep(
  device: Device,
  open: (device: Device) => Task | Promise<Task>,
  options: TrainerOptions,
): Promise<number> {
  using dry = device.rehearsal();
  const { schedule, optimiser, accumulate, dtype, every } = options;
  const asked = Object.fromEntries(
    Object.entries({ optimiser, accumulate, dtype, every }).filter(([, value]) =>
      value !== undefined
    ),
  );
  const task = await open(dry);
  using trainer = new Trainer(dry, task, { schedule, ...asked, steps: STEPS, minutes: null });
  await trainer.run();
  return dry.memory.peakBytes;
}

/** What decides how much memory a step needs. */
export interface StepSize {
  /** Images of a pass. */
  readonly batch: number;
  /** Whether blocks are computed again in the backward pass. */
  readonly recompute: boolean;
}

/** Bytes that a step of some size needs; see {@link planStep}. */
export type PlanSize = (size: StepSize) => Promise<number>;

/**
 * Checks that a step fits.
 *
 * @param stage What messages say is trained.
 * @returns Bytes that it needs.
 * @throws {OutOfMemoryError} `step-too-large`: it does not; the message says which batch would, and with `recompute`.
 */
export async function fitStep(
  plan: PlanSize,
  size: StepSize,
  budget: number,
  stage: string,
): Promise<number> {
  const bytes = await bytesOf(plan, size);
  // a tensor that no binding holds does not fit, however much memory there is
  if (bytes > budget || bytes === Infinity) throw await stepTooLarge(plan, size, budget, { stage });
  return bytes;
}

/**
 * The error of a step that does not fit, with what would.
 *
 * @param budget Bytes that there are: what is allowed, or what a device held when it had no more; infinite if it is a
 * single tensor that does not fit.
 * @param failed What messages say is trained, and the error that the device reported, if it did.
 */
export async function stepTooLarge(
  plan: PlanSize,
  size: StepSize,
  budget: number,
  { stage, cause }: { readonly stage: string; readonly cause?: unknown },
): Promise<OutOfMemoryError> {
  const { batch, recompute } = size;
  const kept = recompute ? 0 : await largestBatch(plan, { ...size, batch: batch - 1 }, budget);
  const again = await largestBatch(
    plan,
    { batch: recompute ? batch - 1 : batch, recompute: true },
    budget,
  );
  const ways = [
    ...kept > 0 ? [`batch ${kept}`] : [],
    ...again > kept ? [`batch ${again} with recompute`] : [],
  ];
  const advice = ways.length
    ? `${ways.join(" or ")} would fit`
    : "not even batch 1 with recompute would fit: use a smaller model";
  const needed = await bytesOf(plan, size);
  const why = needed === Infinity
    ? "a tensor of a step exceeds one binding of this adapter"
    : `a step needs ${formatBytes(needed)}, and there are ${formatBytes(budget)}`;
  return new OutOfMemoryError(
    "step-too-large",
    `Cannot train the ${stage} with batch ${batch}${
      recompute ? " and recompute" : ""
    }: ${why}; ${advice}`,
    { hint: "smaller-batch", ...cause === undefined ? {} : { cause } },
  );
}

/** What a step of some size needs; infinite if a tensor exceeds a binding. */
async function bytesOf(plan: PlanSize, size: StepSize): Promise<number> {
  try {
    return await plan(size);
  } catch (error) {
    if (error instanceof OutOfMemoryError) return Infinity;
    throw error;
  }
}

/** The largest batch, up to that of `size`, that fits; 0 if none does. */
async function largestBatch(plan: PlanSize, size: StepSize, budget: number): Promise<number> {
  let [fits, most] = [0, size.batch];
  while (fits < most) {
    const batch = Math.ceil((fits + most) / 2);
    const bytes = await bytesOf(plan, { ...size, batch });
    if (bytes < Infinity && bytes <= budget) fits = batch;
    else most = batch - 1;
  }
  return fits;
}
