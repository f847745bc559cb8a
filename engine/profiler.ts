/** Passes one submit may hold; WebGPU allows 4,096 queries in a set. */
const MAX_PASSES = 2048;

/** What a dispatch did. */
export interface Done {
  /** The kernel's name. */
  readonly name: string;
  /** Extents that tell it from other dispatches of its kernel, `MxKxN` say; may be empty. */
  readonly shape: string;
  /** Multiplications and additions; 0 where moving bytes is what counts. */
  readonly flops: number;
  /** Bytes that must move at least once. */
  readonly bytes: number;
}

/** Time of all dispatches of one kernel and shape in one section; flops and bytes are their sums. */
export interface KernelTime extends Done {
  /** {@link Profiler.section} when they were submitted. */
  readonly section: string;
  /** Number of dispatches. */
  readonly count: number;
  /** Sum of their times on the GPU, in milliseconds. */
  readonly milliseconds: number;
}

/** Measures the GPU time of each dispatch with timestamp queries; needs the feature `timestamp-query`. */
export class Profiler {
  #device: GPUDevice;
  #queries: GPUQuerySet;
  #done: Done[] = [];
  #resolved: { done: Done[]; section: string; buffer: GPUBuffer }[] = [];
  /** What is submitted from now on belongs to: a scale, say. */
  section: string = "";

  /** Throws on a device without `timestamp-query`. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * MAX_PASSES });
  }

  /** Describes the pass of one dispatch. */
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

  /** Ends a submit: its timestamps go where {@link Profiler.report} finds them. */
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
    this.#resolved.push({ done: this.#done, section: this.section, buffer });
    this.#done = [];
  }

  /** Times since the last report, longest first. Waits for the GPU. */
  async report(): Promise<KernelTime[]> {
    const times = new Map<string, KernelTime>();
    for (const { done, section, buffer } of this.#resolved) {
      await buffer.mapAsync(GPUMapMode.READ);
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
      buffer.destroy();
    }
    this.#resolved = [];
    return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }
}
