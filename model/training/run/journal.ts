import { type Device, KernelError, type Tensor } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { ENTRY_WORDS } from "../../../kernels/optimiser/status.ts";
import type { PassResult } from "./task.ts";

/** Elements to whose multiples metrics are aligned: kernels bind them at 256 bytes. */
const ALIGN = 64;

/** What a step left in the journal. */
export interface JournalRow {
  /** Norm of all gradients, before it was clipped. */
  readonly gradientNorm: number;
  /** Number of the step that stopped the training, from 1; 0 if none did. */
  readonly stopped: number;
  /** Whether this step changed no parameter. */
  readonly skipped: boolean;
  /** Sums of metrics over the step's passes. */
  readonly metrics: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
}

/** Where a metric is in a row. */
interface Block {
  readonly start: number;
  readonly elements: number;
}

/**
 * What steps say of themselves, kept on the GPU until a row for each of several steps is full, so that reading them back
 * takes one transfer.
 */
export class Journal {
  #tensor: Tensor | null = null;
  #blocks: ReadonlyMap<string, Block> = new Map();
  #width = 0;

  /** Begins with room for `rows` steps. */
  constructor(private readonly device: Device, private readonly rows: number) {}

  /**
   * Adds the metrics of a pass to a row, or begins the row with them.
   *
   * @throws {KernelError} `bad-shape`: they are not those of the first pass.
   */
  add(row: number, begin: boolean, metrics: PassResult["metrics"]): void {
    this.#tensor ??= this.#open(metrics);
    for (const [name, { start, elements }] of this.#blocks) {
      const metric = metrics[name];
      if (metric?.elements !== elements || metric.dtype !== "f32") {
        throw new KernelError(
          "bad-shape",
          `Cannot take the metric ${name} of ${metric?.dtype} [${metric?.shape}]: it had ${elements} elements before`,
        );
      }
      const at = this.#tensor.rows(row * this.#width + start, elements);
      accumulate(this.device, metric.reshape(elements), { tensor: at, add: !begin });
    }
  }

  #open(metrics: PassResult["metrics"]): Tensor {
    let width = ALIGN; // the entry has the first block
    this.#blocks = new Map(
      Object.entries(metrics).map(([name, { elements }]) => {
        const start = width;
        width += Math.ceil(elements / ALIGN) * ALIGN;
        return [name, { start, elements }];
      }),
    );
    this.#width = width;
    return this.device.tensor("f32", [this.rows * width], "journal");
  }

  /** Where an optimiser finds the loss of a row, and writes what it did. */
  places(row: number): { journal: Tensor; loss: number; entry: number } {
    const first = row * this.#width;
    return { journal: this.#tensor!, loss: first + this.#blocks.get("loss")!.start, entry: first };
  }

  /** Reads the first rows as they are now. Further steps may be recorded before the promise is resolved. */
  async read(rows: number): Promise<JournalRow[]> {
    const width = this.#width;
    const blocks = [...this.#blocks];
    const floats = await this.device.read(this.#tensor!.rows(0, rows * width)) as Float32Array<
      ArrayBuffer
    >;
    const words = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
    return Array.from({ length: rows }, (_, row) => {
      const at = row * width;
      const [, stopped, skipped] = words.subarray(at, at + ENTRY_WORDS);
      return {
        gradientNorm: floats[at]!,
        stopped: stopped!,
        skipped: skipped !== 0,
        metrics: Object.fromEntries(blocks.map(([name, { start, elements }]) => [
          name,
          floats.slice(at + start, at + start + elements),
        ])),
      };
    });
  }

  /** Frees the memory. */
  dispose(): void {
    this.#tensor?.dispose();
  }
}
