import { type Capabilities, type DeviceOptions, openGpu, type Tuning } from "./adapter.ts";
import { DeviceError, formatBytes, KernelError, OutOfMemoryError } from "./errors.ts";
import type { Dispatch, Kernel } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { Profiler } from "./profiler.ts";
import { Recorder } from "./recorder.ts";
import {
  ELEMENT_BYTES,
  elementCount,
  Tensor,
  type TensorData,
  type TensorDType,
  viewBytes,
} from "./tensor.ts";
import { TEXEL_BYTES, type TexelFormat, Texture, TEXTURE_WIDTH } from "./texture.ts";

/** `writeBuffer` stages without limit until the next submit, so large uploads go in chunks of this size. */
const UPLOAD_CHUNK = 4 * 1024 * 1024;
/** From here on an upload is submitted at once: its staging memory is then used again, which is faster than new pages. */
const LARGE_UPLOAD = 1024 * 1024;

/**
 * A GPU (or a software one): memory, the command stream and transfers.
 *
 * There is one stream. {@link Device.run} records; {@link Device.upload}, {@link Device.read} and
 * {@link Device.flush} send what was recorded first, so everything happens in program order.
 *
 * @example
 * ```ts
 * import { Device } from "@bitwise/infinity/engine";
 *
 * using device = await Device.open();
 * const tensor = device.from("f32", [2, 2], Float32Array.of(1, 2, 3, 4));
 * console.log(device.capabilities.adapter, await device.read(tensor.rows(0, 1)));
 * ```
 */
export class Device {
  /** The account of GPU memory. */
  readonly memory: Memory;
  /** Variants that were measured to be fast on this adapter; the others are chosen by its class. */
  tuning: Tuning = {};
  /** GPU→CPU read-backs so far; generation makes exactly one. */
  readBacks = 0;
  #recorder: Recorder;
  #error: Error | null = null;
  #made: Tensor[] | null = null;
  #disposed = false;

  private constructor(
    /** The underlying WebGPU device. */
    readonly gpu: GPUDevice,
    /** What was found and granted. */
    readonly capabilities: Capabilities,
  ) {
    this.memory = new Memory(gpu);
    this.#recorder = new Recorder(gpu, this.memory, capabilities.implementation === "dawn");
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault?.();
      this.#fail((event as GPUUncapturedErrorEvent).error);
    });
    gpu.lost.then((info) => {
      if (this.#disposed || info.reason === "destroyed") return;
      this.#error ??= new DeviceError(
        "device-lost",
        `The GPU was lost with ${formatBytes(this.memory.liveBytes)} in use: ${
          info.message.split("\n")[0]
        }`,
      );
    });
  }

  /**
   * Opens an adapter with all its limits and the features it grants.
   *
   * @throws {DeviceError} `no-adapter` with what to install; `no-device` if the adapter refuses.
   */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const { gpu, capabilities } = await openGpu(options);
    return new Device(gpu, capabilities);
  }

  #fail(error: GPUError): void {
    const text = error.message.split("\n")[0];
    // by name: each implementation has a class of its own
    this.#error ??= error.constructor.name === "GPUOutOfMemoryError"
      ? new OutOfMemoryError(
        "gpu-out-of-memory",
        `Out of GPU memory with ${
          formatBytes(this.memory.liveBytes)
        } in use (${text}); try a smaller batch or --type f16`,
        { cause: error },
      )
      : new DeviceError("gpu-error", `The GPU refused work: ${error.message}`, { cause: error });
  }

  /**
   * So far: dispatches recorded, their multiplications and additions where they tell them (linear layers, convolutions,
   * attention), submits made, pipelines compiled.
   */
  get counters(): { dispatches: number; flops: number; submits: number; pipelines: number } {
    const { dispatches, flops, submits, pipelines } = this.#recorder;
    return { dispatches, flops, submits, pipelines };
  }

  /** A tensor with undefined contents. `label` names it in messages. */
  tensor(dtype: TensorDType, shape: readonly number[], label: string = "tensor"): Tensor {
    const bytes = Math.max(16, Math.ceil(elementCount(shape) * ELEMENT_BYTES[dtype] / 16) * 16);
    const buffer = this.memory.allocate(bytes, label);
    const release = () => this.memory.release(buffer);
    const tensor = new Tensor(dtype, shape, { buffer, release });
    this.#made?.push(tensor);
    return tensor;
  }

  /**
   * Runs `make`; if it throws, say for lack of memory, the tensors it made are disposed, since nobody else could. It must
   * not wait, or it would take others' tensors for its own.
   */
  allOrNothing<T>(make: () => T): T {
    const outer = this.#made;
    const made: Tensor[] = this.#made = [];
    try {
      return make();
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    } finally {
      this.#made = outer;
      outer?.push(...made);
    }
  }

  /** A tensor holding `data`, whose element type must be that of `dtype`. */
  from(dtype: TensorDType, shape: readonly number[], data: TensorData, label?: string): Tensor {
    const tensor = this.tensor(dtype, shape, label);
    this.upload(tensor, data);
    return tensor;
  }

  /**
   * A texture holding a tensor of whole rows of {@link TEXTURE_WIDTH} texels: vec4s of f32 or f16, or with a `format` u32s
   * whose four bytes it normalises.
   *
   * @throws {KernelError} if the tensor does not fit a texture.
   */
  texture(
    data: Tensor,
    format: TexelFormat = data.dtype === "f16" ? "rgba16float" : "rgba32float",
    label: string = "texture",
  ): Texture {
    const bytesPerRow = TEXTURE_WIDTH * TEXEL_BYTES[format];
    const rows = data.byteLength / bytesPerRow;
    if (rows % 1 || rows > this.gpu.limits.maxTextureDimension2D) {
      throw new KernelError("bad-shape", `Cannot make a texture of [${data.shape}]`);
    }
    const texture = this.memory.createTexture(rows, format);
    this.flush();
    const encoder = this.gpu.createCommandEncoder();
    const source = { buffer: data.buffer, offset: data.byteOffset, bytesPerRow };
    encoder.copyBufferToTexture(source, { texture }, [TEXTURE_WIDTH, rows]);
    this.gpu.queue.submit([encoder.finish()]);
    this.memory.count(data.byteLength, label);
    return new Texture(texture, format, data.byteLength, () => {
      this.flush(); // unlike a pooled buffer, a destroyed texture is gone for work already recorded
      texture.destroy();
      this.memory.count(-data.byteLength, label);
    });
  }

  /**
   * A copy of a tensor of whole vec4s of f32 or f16 in a texture, made in the order of dispatches. Disposed of, the texture is kept
   * for reuse; what is recorded by then still runs.
   *
   * @throws {KernelError} if no texture is as large.
   */
  stage(tensor: Tensor, label: string = "staged"): Texture {
    const format = tensor.dtype === "f16" ? "rgba16float" : "rgba32float";
    const texels = tensor.byteLength / TEXEL_BYTES[format];
    // a power of two, since each size that is kept is memory
    const rows = 2 ** Math.ceil(Math.log2(Math.max(1, texels / TEXTURE_WIDTH)));
    if (texels % 1 || rows > this.gpu.limits.maxTextureDimension2D) {
      throw new KernelError("bad-shape", `Cannot stage [${tensor.shape}] in a texture`);
    }
    const texture = this.memory.takeTexture(rows, format, label);
    this.#recorder.copy(tensor, texture, format);
    const release = () => this.memory.releaseTexture(texture, label);
    return new Texture(texture, format, tensor.byteLength, release);
  }

  /** Writes `data` over `tensor` from byte `offset` on, after all recorded work. */
  upload(tensor: Tensor, data: TensorData, offset: number = 0): void {
    if (offset + data.byteLength > Math.ceil(tensor.byteLength / 4) * 4) {
      throw new DeviceError(
        "upload-too-large",
        `Cannot upload ${data.byteLength} bytes at ${offset} to a tensor of ${tensor.byteLength}`,
      );
    }
    this.flush();
    let bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (bytes.length % 4 !== 0) {
      const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
      padded.set(bytes);
      bytes = padded;
    }
    for (let at = 0; at < bytes.length; at += UPLOAD_CHUNK) {
      const chunk = bytes.subarray(at, at + UPLOAD_CHUNK);
      this.gpu.queue.writeBuffer(tensor.buffer, tensor.byteOffset + offset + at, chunk);
      if (chunk.length >= LARGE_UPLOAD) this.gpu.queue.submit([]);
    }
  }

  /** Copies `from` over the beginning of `to`, or from its byte `offset` on. Both must lie on 4-byte boundaries. */
  copy(from: Tensor, to: Tensor, offset: number = 0): void {
    const bytes = Math.ceil(from.byteLength / 4) * 4;
    if (bytes === 0) return;
    this.flush();
    const encoder = this.gpu.createCommandEncoder();
    const at = to.byteOffset + offset;
    encoder.copyBufferToBuffer(from.buffer, from.byteOffset, to.buffer, at, bytes);
    this.gpu.queue.submit([encoder.finish()]);
  }

  /** Records one dispatch of a kernel; see {@link defineKernel}. */
  run<B extends string, P extends string>(kernel: Kernel<B, P>, call: Dispatch<B, P>): void {
    this.#recorder.dispatch(kernel, call);
  }

  /** Submits what was recorded, without waiting. */
  flush(): void {
    this.#recorder.flush();
  }

  /** Gives the memory that is kept for reuse back to the GPU, if it is more than `keep` bytes. */
  trim(keep: number = 0): void {
    if (this.memory.pooledBytes <= keep) return;
    this.#recorder.forget();
    this.memory.trim();
  }

  /** Reads one tensor back. Waits for the GPU; blocks the thread in Deno while it works. */
  async read(tensor: Tensor): Promise<TensorData> {
    return (await this.readAll([tensor]))[0]!;
  }

  /** Reads tensors back in one transfer. @throws what the GPU reported since the last call. */
  async readAll(tensors: readonly Tensor[]): Promise<TensorData[]> {
    this.flush();
    let total = 0;
    const at = tensors.map((t) => {
      const offset = total;
      total += Math.ceil(t.byteLength / 16) * 16;
      return offset;
    });
    const staging = this.gpu.createBuffer({
      label: "read-back",
      size: Math.max(16, total),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.gpu.createCommandEncoder();
    tensors.forEach((t, i) => {
      const bytes = Math.ceil(t.byteLength / 4) * 4;
      if (bytes) encoder.copyBufferToBuffer(t.buffer, t.byteOffset, staging, at[i]!, bytes);
    });
    this.gpu.queue.submit([encoder.finish()]);
    this.readBacks++;
    await staging.mapAsync(GPUMapMode.READ).catch(() => {
      staging.destroy();
      throw this.#error ?? new DeviceError("device-lost", "The GPU was lost during a read-back");
    });
    const mapped = staging.getMappedRange();
    const data = tensors.map((t, i) =>
      viewBytes(t.dtype, mapped.slice(at[i]!, at[i]! + t.byteLength))
    );
    staging.destroy();
    this.check();
    return data;
  }

  /** Waits until the GPU has done all that was recorded. @throws what the GPU reported meanwhile. */
  async finish(): Promise<void> {
    this.flush();
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  /** Throws the first error the GPU has reported, if any, and keeps doing so; errors arrive asynchronously. */
  check(): void {
    if (this.#error) throw this.#error;
  }

  /**
   * Makes the device usable again after an {@link OutOfMemoryError}, once what failed is disposed: forgets the error, and
   * the memory kept for reuse, some of which may never have been there.
   */
  recover(): void {
    this.trim();
    if (this.#error instanceof OutOfMemoryError) this.#error = null;
  }

  /** Begins to time every dispatch; `null` where the adapter has no timestamps. */
  profile(): Profiler | null {
    if (!this.capabilities.timestamps) return null;
    this.flush();
    return this.#recorder.profiler = new Profiler(this.gpu);
  }

  /** Frees pooled memory and closes the device. Tensors of it are dead afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.memory.trim();
    this.gpu.destroy();
  }

  /** {@link Device.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
