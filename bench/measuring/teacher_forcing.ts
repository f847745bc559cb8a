/** What a transformer makes of true images, each scale of which it is given before the next. */

import type { Device } from "../../engine/mod.ts";
import type { TrainConfig } from "../../model/training/config/types.ts";
import type { DataSource } from "../../model/training/data/base/source.ts";
import { accuracies } from "../../model/training/session/report_of.ts";
import { openBeginning } from "../../model/training/stages/beginning.ts";
import { TransformerTask } from "../../model/training/stages/transformer_task.ts";
import { Tape } from "../../model/training/tape/tape.ts";

/** What was found of one batch. */
export interface Forced {
  readonly images: number;
  /** Bit-wise cross-entropy, as training weighs it. */
  readonly loss: number;
  /** Share of bits that are right, from 0 to 1, by scale. */
  readonly bitsRight: readonly number[];
}

/** Measures `batches` batches of `batch` images of `data`, flipping no bits and dropping no captions. */
export async function teacherForced(
  device: Device,
  config: TrainConfig,
  folder: string,
  data: DataSource,
  { batch, batches }: { readonly batch: number; readonly batches: number },
): Promise<Forced[]> {
  const still = { flips: 0, condition_dropout: 0, batch, reuse: 1, accumulate: 1 };
  const measured = { ...config, init: folder, transformer: { ...config.transformer, ...still } };
  const begun = await openBeginning(measured, folder);
  const task = await TransformerTask.open(device, measured, begun, data);
  const found: Forced[] = [];
  try {
    for (let step = 0; step < batches; step++) {
      using tape = new Tape(device);
      const now = { step, micro: 0, progress: 1 };
      const { metrics, owned = [], images } = await task.compute(tape, now);
      const stats = Array.from(await device.read(metrics.loss));
      for (const one of owned) one[Symbol.dispose]();
      found.push({ images, loss: stats[0]!, bitsRight: accuracies(stats) });
    }
  } finally {
    task.dispose();
  }
  return found;
}
