import type { Device } from "../../engine/mod.ts";

/** WebGPU allows 4,096 queries in a set; a pass takes two. */
const PASSES = 2048;

/** The passes of one section. */
export interface Span {
  readonly section: string;
  /** From the beginning of its first pass to the end of its last one, in milliseconds. */
  readonly milliseconds: number;
  readonly passes: number;
}

/**
 * Times whole passes of a device that is not profiled, so that dispatches follow each other as they do without
 * measuring: gaps between them count. Give each section its own submits ({@link Device.flush}).
 */
export class Spans {
  #gpu: GPUDevice;
  #queries: GPUQuerySet;
  #sections: { name: string; first: number; last: number; passes: number }[] = [];
  #used = 0;

  /** Null if the adapter has no timestamps. */
  static of(device: Device): Spans | null {
    return device.capabilities.timestamps ? new Spans(device.gpu) : null;
  }

  private constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    this.#queries = gpu.createQuerySet({ type: "timestamp", count: 2 * PASSES });
    const create = gpu.createCommandEncoder;
    // the engine knows nothing of this: its passes get timestamps as they are made
    Object.defineProperty(gpu, "createCommandEncoder", {
      value: (descriptor?: GPUCommandEncoderDescriptor) => {
        const encoder = create.call(gpu, descriptor);
        const begin = encoder.beginComputePass;
        Object.defineProperty(encoder, "beginComputePass", {
          value: (pass?: GPUComputePassDescriptor) =>
            begin.call(encoder, pass?.timestampWrites ? pass : { ...pass, ...this.#pass() }),
        });
        return encoder;
      },
    });
  }

  /** What is submitted from now on belongs to a new section. */
  begin(name: string): void {
    this.#sections.push({ name, first: this.#used, last: -1, passes: 0 });
  }

  #pass(): GPUComputePassDescriptor {
    const section = this.#sections.at(-1);
    if (!section) return {};
    // when all queries are used, later passes overwrite the end of the last one
    const pass = Math.min(this.#used, PASSES - 1);
    this.#used = pass + 1;
    section.last = pass;
    section.passes++;
    const overwritten = section.passes > 1 && section.first === pass;
    return {
      timestampWrites: {
        querySet: this.#queries,
        ...!overwritten && { beginningOfPassWriteIndex: 2 * pass },
        endOfPassWriteIndex: 2 * pass + 1,
      },
    };
  }

  /** Waits for the work and returns the sections since the last report that had passes, and a last one of all. */
  async report(): Promise<{ sections: Span[]; all: Span }> {
    const sections = this.#sections.filter(({ last }) => last >= 0);
    const count = 2 * this.#used;
    this.#sections = [];
    this.#used = 0;
    if (count === 0) return { sections: [], all: { section: "all", milliseconds: 0, passes: 0 } };
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const size = 8 * count;
    const resolved = this.#gpu.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    const buffer = this.#gpu.createBuffer({ size, usage: MAP_READ | COPY_DST });
    const encoder = this.#gpu.createCommandEncoder();
    encoder.resolveQuerySet(this.#queries, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, buffer, 0, size);
    this.#gpu.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(buffer.getMappedRange().slice(0));
    resolved.destroy();
    buffer.destroy();
    const span = (section: string, first: number, last: number, passes: number): Span => ({
      section,
      milliseconds: Number(stamps[2 * last + 1]! - stamps[2 * first]!) / 1e6,
      passes,
    });
    return {
      sections: sections.map(({ name, first, last, passes }) => span(name, first, last, passes)),
      all: span(
        "all",
        sections[0]!.first,
        sections.at(-1)!.last,
        sections.reduce((sum, { passes }) => sum + passes, 0),
      ),
    };
  }
}
