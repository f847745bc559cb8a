/** A maker without a GPU, and a server around it. */

import { type AppOptions, createApp, type HttpApp } from "../../../serve/http/app.ts";
import { BusyError } from "../../../serve/jobs/busy_error.ts";
import type { Job, Made, Maker, MakerState, ModelCard, Watch } from "../../../serve/jobs/job.ts";
import { encodeBitsFile } from "../../../model/bits/bits_file.ts";
import { InputError } from "../../../engine/mod.ts";

/** Pixels of a side. */
export const SIDE = 8;
/** Scales of an image. */
export const SCALES = 4;

/** What the fake model says of itself. */
export const CARD: ModelCard = {
  name: "squares",
  type: "f32",
  adapter: "none",
  digest: "0",
  sizes: [
    { width: SIDE, height: SIDE, schedule: [[1, 1], [2, 2], [3, 3], [4, 4]] },
    { width: 2 * SIDE, height: SIDE, schedule: [[1, 2], [2, 4], [3, 6], [4, 8]] },
  ],
  defaults: { cfgScale: 3, tau: 0.5 },
  edits: true,
};

/** Bits of an image of the fake model. */
export const BITS: Uint8Array<ArrayBuffer> = encodeBitsFile({
  width: SIDE,
  height: SIDE,
  d: 1,
  latent: [1, 1],
  schedule: [[1, 1]],
  scales: [new Uint8Array([1])],
});

/** Makes squares of one colour: red is the scale, green the seed. */
export class FakeMaker implements Maker {
  readonly card: Promise<ModelCard>;
  /** All jobs that were ever asked for. */
  readonly jobs: Job[] = [];
  /** Jobs that were aborted. */
  aborted = 0;
  /** Whether jobs wait until {@link release}, before the scale {@link heldAt}. */
  held = false;
  heldAt = 0;
  /** The most jobs at a time. */
  queue = 64;
  #running = 0;
  #closed = false;
  #waiting: (() => void)[] = [];
  #watchers: (() => void)[] = [];

  constructor(card: Promise<ModelCard> = Promise.resolve(CARD)) {
    this.card = card;
  }

  /** Jobs that wait for {@link release}. */
  get waiting(): number {
    return this.#waiting.length;
  }

  state(): MakerState {
    return { ready: !this.#closed, queued: 0, running: this.#running, gpuBytes: 1234 };
  }

  /** Lets go of those that wait. */
  release(): void {
    this.held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Resolves once a condition holds, which is looked at when a job begins or ends. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async make(job: Job, watch: Watch = {}): Promise<Made> {
    const { signal, previews, onScale } = watch;
    signal?.throwIfAborted();
    if (this.#closed || this.#running >= this.queue) throw new BusyError(this.#running, 7);
    this.jobs.push(job);
    this.#running++;
    this.#changed();
    try {
      const { width = SIDE, height = SIDE } = job.settings;
      if (job.prompt === "wrong") throw new InputError("bad-value", "Cannot draw: it is wrong");
      if (job.prompt === "broken") throw new TypeError("secret detail");
      const square = (scale: number) => {
        const rgba = new Uint8Array(width * height * 4);
        for (let i = 0; i < rgba.length; i += 4) {
          rgba.set([scale, Number(job.seed) & 255, 0, 255], i);
        }
        return { width, height, rgba };
      };
      for (let scale = 0; scale < SCALES; scale++) {
        if (this.held && scale === this.heldAt) await this.#wait(signal);
        await new Promise((resolve) => setTimeout(resolve));
        signal?.throwIfAborted();
        onScale?.({ scale, scales: SCALES, ...previews && { image: square(scale) } });
      }
      const parameters = `${job.prompt}\nSteps: ${SCALES}, Seed: ${job.seed}`;
      return { ...square(SCALES), parameters, bits: BITS, warnings: [], seconds: 1, batch: 1 };
    } catch (error) {
      if (signal?.aborted) this.aborted++;
      throw error;
    } finally {
      this.#running--;
      this.#changed();
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      this.#changed();
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  }

  #changed(): void {
    for (const look of this.#watchers.splice(0)) look();
  }
}

/** A server on loopback. */
export interface FakeServer extends AsyncDisposable {
  readonly maker: FakeMaker;
  readonly app: HttpApp;
  readonly port: number;
  readonly url: string;
  /** Asks for a path. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Posts JSON. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Serves a fake maker on a free port. */
export function serveFake(
  options: AppOptions = {},
  maker: FakeMaker = new FakeMaker(),
): FakeServer {
  const app = createApp(maker, options);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  const { port } = server.addr;
  const url = `http://127.0.0.1:${port}`;
  const ask = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);
  return {
    maker,
    app,
    port,
    url,
    ask,
    post: (path, body, init) =>
      ask(path, {
        method: "POST",
        body: JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...init?.headers },
      }),
    async [Symbol.asyncDispose]() {
      app.close();
      await maker.close();
      await server.shutdown();
    },
  };
}
