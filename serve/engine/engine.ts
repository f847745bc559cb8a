import { DeviceError } from "../../engine/mod.ts";
import type { Job, Made, Maker, MakerEvents, MakerState, ModelCard, Watch } from "../jobs/job.ts";
import { counted } from "../jobs/counted.ts";
import { Lineup, type Place } from "../jobs/lineup.ts";
import type { BatchScale, ThreadOptions } from "./messages.ts";
import { GpuThread } from "./thread.ts";

/** How to make images on a GPU of this machine. */
export interface EngineOptions extends ThreadOptions {
  /** The most jobs that wait; {@link MOST_WAITING} if absent. */
  readonly queue?: number;
  /** The most images of a batch; what suits the GPU if absent. */
  readonly batch?: number;
  /** What is called for metrics. */
  readonly events?: MakerEvents;
  /** The code of the GPU's thread; tests give another. */
  readonly module?: URL;
}

/**
 * Loads a model in a thread of its own, and makes images with it. Jobs with equal settings that wait when the GPU
 * becomes free share a batch, and each gets the bytes that it gets alone.
 */
export function openEngine(options: EngineOptions = {}): Maker {
  return new Engine(options);
}

class Engine implements Maker {
  readonly card: Promise<ModelCard>;
  readonly #lineup: Lineup;
  readonly #loop: Promise<void>;
  readonly #events: MakerEvents;
  #thread: GpuThread | null = null;
  #running: readonly Place[] = [];
  #loaded = false;
  #closing = false;
  readonly #stop = new AbortController();

  constructor(private readonly options: EngineOptions) {
    this.#lineup = new Lineup(options.queue);
    this.#events = options.events ?? {};
    this.card = this.#open();
    this.#loop = this.card.then(() => this.#work());
    // whoever waits for the card hears of it
    this.#loop.catch((error) => this.#lineup.close(error));
  }

  state(): MakerState {
    return {
      // a GPU that was lost is opened again by the next job
      ready: this.#loaded && !this.#closing,
      queued: this.#lineup.length,
      running: this.#running.filter(({ ended }) => !ended).length,
      gpuBytes: this.#thread?.gpuBytes ?? 0,
    };
  }

  make(job: Job, watch: Watch = {}): Promise<Made> {
    return counted(this.#lineup.add(job, watch), watch, this.#events);
  }

  async close(how?: "at once"): Promise<void> {
    this.#closing = true;
    const error = how && new DOMException("The engine was closed", "AbortError");
    this.#lineup.close(error);
    if (error) {
      for (const place of this.#running) place.end({ error });
      this.#thread?.cancel();
      this.#stop.abort();
    }
    await this.#loop.catch(() => {});
    await this.#thread?.close();
    this.#thread = null;
  }

  async #open(): Promise<ModelCard> {
    const { module } = this.options;
    const { signal } = this.#stop;
    const { thread, card } = await GpuThread.open(threadOptions(this.options), { module, signal });
    this.#thread = thread;
    this.#loaded = true;
    return card;
  }

  /** Makes what waits, batch after batch, until it is closed. */
  async #work(): Promise<void> {
    for (let first = await this.#lineup.first(); first; first = await this.#lineup.first()) {
      const most = Math.min(await this.#fits(first), this.options.batch ?? Infinity);
      const batch = this.#lineup.take(first, most);
      this.#running = batch;
      if (batch.length > 0) await this.#make(batch);
      this.#running = [];
    }
  }

  async #fits(place: Place): Promise<number> {
    const alike = this.#lineup.alike(place);
    if (alike <= 1 || !this.#thread) return 1;
    // settings that are wrong are refused when they are used
    return await this.#thread.fits(place.job.settings, alike).catch(() => 1);
  }

  /** Makes a batch. One that fails is made again image by image, so that a wrong job fails alone. */
  async #make(batch: readonly Place[], again = false): Promise<void> {
    try {
      if (!this.#thread) await this.#open();
      await this.#once(this.#thread!, batch);
    } catch (error) {
      const left = batch.filter(({ ended }) => !ended);
      if (error instanceof DeviceError) {
        this.#thread?.terminate();
        this.#thread = null;
        this.#events.onLost?.();
        if (!again && left.length > 0) return await this.#make(left, true);
      } else if (left.length > 1) {
        for (const place of left) await this.#make([place], again);
        return;
      }
      for (const place of left) place.end({ error });
    }
  }

  async #once(thread: GpuThread, batch: readonly Place[]): Promise<void> {
    if (batch.every(({ ended }) => ended)) return;
    const [{ job: { settings } }] = batch as [Place];
    const jobs = batch.map(({ job: { prompt, seed } }) => ({ prompt, seed }));
    const previews = batch.map(({ watch }) => watch.previews === true);
    const onScale = (scale: BatchScale) => this.#show(batch, scale);
    const stop = () => {
      if (batch.every(({ ended }) => ended)) thread.cancel();
    };
    for (const { watch } of batch) watch.signal?.addEventListener("abort", stop);
    try {
      this.#events.onBatch?.(batch.length);
      const made = await thread.make({ jobs, settings, previews }, onScale);
      this.#lineup.learn(made[0]!.seconds, made.length);
      for (const [i, place] of batch.entries()) place.end({ made: made[i]! });
    } finally {
      for (const { watch } of batch) watch.signal?.removeEventListener("abort", stop);
    }
  }

  #show(batch: readonly Place[], { scale, scales, seconds, images }: BatchScale): void {
    this.#events.onScaleSeconds?.(scale, seconds);
    for (const [i, { ended, watch }] of batch.entries()) {
      const image = images[i] ?? undefined;
      if (!ended) watch.onScale?.({ scale, scales, image });
    }
  }
}

/** What of the options is sent to the thread. */
function threadOptions(options: EngineOptions): ThreadOptions {
  const { model, type, gpu, staged, maxBytes, maxPixels } = options;
  // a URL cannot be sent
  const lora = options.lora?.map(({ path, strength }) => ({ path: `${path}`, strength }));
  return { model, type, gpu, staged, lora, maxBytes, maxPixels };
}
