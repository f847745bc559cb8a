/** Counts what there is to count, for Prometheus. */

import { Counter, Gauge, Histogram, Registry } from "../../deps/prom_client.ts";
import type { Maker, MakerEvents } from "../jobs/job.ts";

/** Counts since the process began. */
export class Metrics {
  /** To be given to a maker when it is opened. */
  readonly events: MakerEvents;
  readonly #registry = new Registry();
  readonly #requests: Histogram<"method" | "route" | "status">;

  /** Begins to count. */
  constructor() {
    const registers = [this.#registry];
    const images = new Counter({
      name: "bitwise_images_total",
      help: "Images, by how they ended",
      labelNames: ["outcome"],
      registers,
    });
    const losses = new Counter({
      name: "bitwise_device_losses_total",
      help: "Times that the GPU device was lost",
      registers,
    });
    const batches = new Histogram({
      name: "bitwise_batch_images",
      help: "Images of a batch",
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    });
    const scales = new Histogram({
      name: "bitwise_scale_seconds",
      help: "Seconds that a scale of a batch took",
      labelNames: ["scale"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers,
    });
    this.#requests = new Histogram({
      name: "bitwise_http_request_seconds",
      help: "Seconds until the answer of a request began",
      labelNames: ["method", "route", "status"],
      buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    });
    for (const outcome of ["made", "failed", "aborted"]) images.inc({ outcome }, 0);
    this.events = {
      onBatch: (count) => batches.observe(count),
      onScaleSeconds: (scale, seconds) => scales.observe({ scale: `${scale}` }, seconds),
      onEnd: (outcome) => images.inc({ outcome }),
      onLost: () => losses.inc(),
    };
  }

  /** Adds what a maker is doing, and the bytes of bodies that are held. */
  watch(maker: Maker, heldBytes: () => number): void {
    const gauges: Readonly<Record<string, readonly [help: string, read: () => number]>> = {
      bitwise_queue_jobs: ["Images that wait", () => maker.state().queued],
      bitwise_running_jobs: ["Images that are being made", () => maker.state().running],
      bitwise_gpu_bytes: ["Bytes that live on the GPU", () => maker.state().gpuBytes],
      bitwise_ready: ["Whether images can be made", () => Number(maker.state().ready)],
      bitwise_held_body_bytes: ["Bytes of requests that are held", heldBytes],
    };
    for (const [name, [help, read]] of Object.entries(gauges)) {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.set(read());
        },
      });
    }
  }

  /** Counts a request. */
  observe(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status: `${status}` }, seconds);
  }

  /** What Prometheus reads. */
  async answer(): Promise<Response> {
    const text = await this.#registry.metrics();
    return new Response(text, { headers: { "content-type": this.#registry.contentType } });
  }
}
