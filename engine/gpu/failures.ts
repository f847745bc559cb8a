import { BitwiseError, DeviceError, formatBytes } from "../base/errors.ts";
import { beginWait } from "./dawn.ts";
import { gpuError, gpuMessage } from "./gpu_error.ts";

/** What a device does about an error. */
export interface Repair {
  /** Forgets what was recorded: after an error in the midst of it, no submit may have it. */
  drop(): void;
  /** Forgets everything that an error may have broken. */
  reset(): void;
  /** Hears that nothing was refused so far. */
  keep(): void;
  /** Bytes in use. */
  liveBytes(): number;
}

/** Lets the event loop deliver what the GPU has reported. */
function delivery(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/**
 * The first error of a device: what its GPU reported, or what WebGPU threw. Both are treated alike, so that code which
 * records work meets errors only where it allocates or waits.
 */
export class Failures {
  #error: BitwiseError | null = null;
  #lost = false;
  /** Pieces of work that were begun and have not ended. */
  #works = 0;
  /** Whether there was work since the last wait, whose errors may not have arrived. */
  #pending = false;
  #repair: Repair;

  /** Listens to a device. */
  constructor(gpu: GPUDevice, repair: Repair) {
    this.#repair = repair;
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault?.();
      this.#fail((event as GPUUncapturedErrorEvent).error);
    });
    gpu.lost.then((info) => {
      if (this.#lost) return; // closed: Dawn may be half gone with its process, and the info with it
      const inUse = formatBytes(repair.liveBytes());
      const message = gpuMessage(info) || info.reason;
      this.#lose("device-lost", `The GPU was lost with ${inUse} in use: ${message}; open it again`);
    });
  }

  /** Ends the use of the device for good. */
  close(): void {
    this.#lose("disposed-device", "Cannot use a disposed device: open it again");
  }

  #lose(code: string, message: string): void {
    this.#lost = true;
    this.#error = new DeviceError(code, message); // whatever else failed, this is why
  }

  #fail(error: unknown): void {
    this.#error ??= gpuError(error, this.#repair.liveBytes());
  }

  /** Throws the first error. */
  check(): void {
    if (this.#error) throw this.#error;
  }

  /** Does work that is not waited for. After an error it would compute with what is broken, so it is dropped. */
  attempt(work: () => void): void {
    if (this.#error) return;
    this.#pending = true;
    try {
      work();
    } catch (error) {
      if (error instanceof BitwiseError) throw error;
      this.#repair.drop();
      this.#fail(error);
    }
  }

  /** Waits for the GPU, and throws the first error that it met. */
  async wait<T>(wait: () => Promise<T>): Promise<T> {
    this.check();
    beginWait();
    try {
      const result = await wait();
      this.#pending = false;
      return result;
    } catch (error) {
      if (error instanceof BitwiseError) throw error;
      await delivery(); // of the reason
      this.#fail(error);
      throw this.#error;
    } finally {
      this.check();
    }
  }

  /** See {@link Device.begin}. */
  begin(): AsyncDisposable {
    if (this.#lost) this.check();
    this.#works++;
    const work = new AsyncDisposableStack();
    work.defer(async () => {
      if (this.#pending || this.#error) await delivery(); // of errors that would hit the next work
      if (--this.#works > 0) return;
      if (!this.#error) return this.#repair.keep();
      this.#repair.reset();
      if (!this.#lost) this.#error = null;
    });
    return work;
  }
}
