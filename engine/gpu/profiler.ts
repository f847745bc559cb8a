import { gpuError } from "./gpu_error.ts";

/** Most passes of one submit: WebGPU allows 4,096 queries in a set, and a pass takes two. */
const MAX_PASSES = 2048;

/** A dispatch that was timed. */
export interface Done {
  /** Name of the kernel. */
  readonly name: string;
  /** Extents that distinguish it from other dispatches of its kernel, such as `256x1024x4096`; may be empty. */
  readonly shape: string;
  /** Number of multiplications and additions; 0 for kernels whose time goes into moving bytes. */
  readonly flops: number;
  /** Bytes that must be moved at least once. */
  readonly bytes: number;
}

/** The time of all dispatches of one kernel and shape in one section, with the sums of their flops and bytes. */
export interface KernelTime extends Done {
  /** The {@link Profiler.section} in which they were submitted. */
  readonly section: string;
  /** Number of dispatches. */
  readonly count: number;
  /** Sum of their times on the GPU, in milliseconds. */
  readonly milliseconds: number;
}

/**
 * Measures the GPU time of each dispatch by timestamp queries. Made by {@link Device.profile}.
 *
 * @example
 * ```ts ignore
 * const profiler = device.profile();
 * // … work …
 * for (const { name, shape, count, milliseconds } of await profiler?.report() ?? []) {
 *   console.log(name, shape, count, milliseconds);
 * }
 * ```
 */
export class Profiler {
  #device: GPUDevice;
  #queries: GPUQuerySet;
  #done: Done[] = [];
  #resolved: { done: Done[]; section: string; resolved: GPUBuffer; buffer: GPUBuffer }[] = [];
  /** Names what is submitted from now on, such as a scale. */
  section: string = "";

  /** Use {@link Device.profile}. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * MAX_PASSES });
  }

  /** Returns the descriptor of the pass of one dispatch. */
  pass(done: Done): GPUComputePassDescriptor {
    const index = 2 * this.#done.length;
    this.#done.push(done);
    return {
      timestampWrites: {
        querySet: this.#queries,
        beginningOfPassWriteIndex: index,
        endOfPassWriteIndex: index + 1,
      },
    };
  }

  /** Forgets the passes of a submit that will not be. */
  drop(): void {
    this.#done = [];
  }

  /** Ends a submit: copies its timestamps to where {@link Profiler.report} reads them. */
  resolve(encoder: GPUCommandEncoder): void {
    const size = this.#done.length * 16;
    const device = this.#device;
    const resolved = device.createBuffer({
      size,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const buffer = device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.#queries, 0, this.#done.length * 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, buffer, 0, size);
    this.#resolved.push({ done: this.#done, section: this.section, resolved, buffer });
    this.#done = [];
  }

  /**
   * Returns the times since the last report, longest first. Waits for submitted work; call {@link Device.flush}
   * first.
   *
   * @throws {DeviceError} They cannot be read.
   */
  async report(): Promise<KernelTime[]> {
    const times = new Map<string, KernelTime>();
    for (const { done, section, resolved, buffer } of this.#resolved) {
      await buffer.mapAsync(GPUMapMode.READ).catch((error) => {
        throw gpuError(error, 0);
      });
      const stamps = new BigUint64Array(buffer.getMappedRange());
      done.forEach(({ name, shape, flops, bytes }, i) => {
        const key = [section, name, shape].join("|");
        const known = times.get(key);
        times.set(key, {
          section,
          name,
          shape,
          count: (known?.count ?? 0) + 1,
          milliseconds: (known?.milliseconds ?? 0) +
            Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6,
          flops: (known?.flops ?? 0) + flops,
          bytes: (known?.bytes ?? 0) + bytes,
        });
      });
      resolved.destroy();
      buffer.destroy();
    }
    this.#resolved = [];
    return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }
}
