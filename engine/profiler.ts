/** Passes one submit may hold; WebGPU allows 4,096 queries in a set. */
const MAX_PASSES = 2048;

/** Time of all dispatches of one kernel. */
export interface KernelTime {
  /** The kernel's name. */
  readonly name: string;
  /** Number of dispatches. */
  readonly count: number;
  /** Sum of their times on the GPU, in milliseconds. */
  readonly milliseconds: number;
}

/** Measures the GPU time of each dispatch with timestamp queries; needs the feature `timestamp-query`. */
export class Profiler {
  #device: GPUDevice;
  #queries: GPUQuerySet;
  #names: string[] = [];
  #resolved: { names: string[]; buffer: GPUBuffer }[] = [];

  /** Throws on a device without `timestamp-query`. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * MAX_PASSES });
  }

  /** Describes the pass of one dispatch. */
  pass(name: string): GPUComputePassDescriptor {
    const index = 2 * this.#names.length;
    this.#names.push(name);
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
    const size = this.#names.length * 16;
    const device = this.#device;
    const resolved = device.createBuffer({
      size,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const buffer = device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.#queries, 0, this.#names.length * 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, buffer, 0, size);
    this.#resolved.push({ names: this.#names, buffer });
    this.#names = [];
  }

  /** Time per kernel since the last report, longest first. Waits for the GPU. */
  async report(): Promise<KernelTime[]> {
    const times = new Map<string, { count: number; milliseconds: number }>();
    for (const { names, buffer } of this.#resolved) {
      await buffer.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(buffer.getMappedRange());
      names.forEach((name, i) => {
        const time = times.get(name) ?? { count: 0, milliseconds: 0 };
        time.count++;
        time.milliseconds += Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6;
        times.set(name, time);
      });
      buffer.destroy();
    }
    this.#resolved = [];
    return [...times].map(([name, time]) => ({ name, ...time }))
      .sort((a, b) => b.milliseconds - a.milliseconds);
  }
}
