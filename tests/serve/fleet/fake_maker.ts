import { InputError } from "../../../engine/mod.ts";
import type { Job, Made, Maker, ModelCard, Watch } from "../../../serve/jobs/job.ts";

const CARD: ModelCard = {
  name: "fake",
  type: "f32",
  adapter: "none",
  digest: "0",
  sizes: [{ width: 2, height: 1, schedule: [[1, 1]] }],
  defaults: { cfgScale: 1, tau: 1 },
  edits: false,
};

/** Scales of a fake image. */
export const SCALES = 3;

/**
 * Makes images of two pixels that hold the seed, scale by scale. The prompt `bad` is a wrong one, `crash` fails each
 * time, and `wait` waits after its first scale until it is aborted.
 */
export class FakeMaker implements Maker {
  readonly card: Promise<ModelCard>;
  /** Ids of jobs in the order in which they began. */
  readonly began: string[] = [];
  /** Ids of jobs that were aborted. */
  readonly aborted: string[] = [];
  #running = 0;

  /** Each scale takes so many milliseconds. */
  constructor(private readonly pause = 0, card: Partial<ModelCard> = {}) {
    this.card = Promise.resolve({ ...CARD, ...card });
  }

  state() {
    return { ready: true, queued: 0, running: this.#running, gpuBytes: 0 };
  }

  async make({ id, prompt, seed }: Job, { signal, previews, onScale }: Watch = {}): Promise<Made> {
    this.began.push(id);
    if (prompt === "bad") throw new InputError("bad-value", "Cannot use tau 0: it must be above 0");
    if (prompt === "crash") throw new Error("it crashed");
    const image = { width: 2, height: 1, rgba: new Uint8Array(8).fill(255) };
    new DataView(image.rgba.buffer).setUint16(0, Number(seed));
    this.#running++;
    try {
      for (let scale = 0; scale < SCALES; scale++) {
        await this.#scale(prompt === "wait" && scale > 0, signal);
        onScale?.({ scale, scales: SCALES, ...previews && { image } });
      }
    } catch (error) {
      this.aborted.push(id);
      throw error;
    } finally {
      this.#running--;
    }
    const bits = new TextEncoder().encode(`bits of ${id}`);
    return { ...image, parameters: prompt, bits, warnings: [], seconds: 0.25, batch: 1 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #scale(forEver: boolean, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = forEver ? undefined : setTimeout(resolve, this.pause);
    const stop = () => reject(signal!.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}
