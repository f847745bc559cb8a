import { type Capabilities, type DeviceOptions, openGpu, type Tuning } from "./adapter.ts";
import { type Debug, openDebug } from "../base/debug.ts";
import { KernelError } from "../base/errors.ts";
import { dryDevice } from "./dry_gpu.ts";
import { Failures } from "./failures.ts";
import type { Dispatch, Kernel } from "./kernel.ts";
import { Memory, type MemoryRole } from "./memory.ts";
import { Profiler } from "./profiler.ts";
import { Recorder } from "./recorder.ts";
import {
  checkData,
  checkPlace,
  checkRoom,
  checkShape,
  ELEMENT_BYTES,
  elementCount,
  Tensor,
  type TensorData,
  type TensorDType,
} from "./tensor.ts";
import { readBack, writeData } from "./transfer.ts";
import { TEXEL_BYTES, type TexelFormat, Texture, TEXTURE_WIDTH } from "./texture.ts";

/** Pipelines that are compiled at a time: so many were measured to go well on an H200 with 16 cores. */
const PARALLEL_PIPELINES = 12;

function floatTexel({ dtype }: Tensor): TexelFormat {
  return dtype === "f16" ? "rgba16float" : "rgba32float";
}

/**
 * A GPU, or a software adapter: its memory, its command stream, and transfers to and from it.
 *
 * There is one stream. {@link Device.run} records; {@link Device.upload}, {@link Device.read} and
 * {@link Device.flush} first submit what was recorded, so everything happens in program order.
 *
 * Errors of the GPU arrive late. The first one is thrown by whatever allocates, reads or waits next, and until then
 * work is dropped. It stays until the work that it belongs to has ended, see {@link Device.begin}.
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
  /** Kernel variants that were measured to be fast on this adapter. The adapter's class decides the others. */
  tuning: Tuning = {};
  /** Number of read-backs from the GPU so far. Generation makes exactly one. */
  readBacks = 0;
  #recorder: Recorder;
  #failures: Failures;
  #made: (Tensor | Texture)[] | null = null;
  #disposed = false;

  private constructor(
    /** The underlying WebGPU device. */
    readonly gpu: GPUDevice,
    /** What the adapter offers and what was granted. */
    readonly capabilities: Capabilities,
    /** Where to log what happens; null unless `BITWISE_DEBUG` or {@link DeviceOptions.debug} asks for it. */
    readonly debug: Debug | null,
  ) {
    this.memory = new Memory(gpu);
    this.#recorder = new Recorder(gpu, this, debug);
    this.#failures = new Failures(gpu, {
      drop: () => this.#recorder.drop(),
      reset: () => {
        this.#recorder.reset();
        this.memory.trim();
      },
      keep: () => this.#recorder.pipelines.keep(),
      liveBytes: () => this.memory.liveBytes,
    });
  }

  /**
   * Opens an adapter with all its limits and the features it grants.
   *
   * @throws {DeviceError} `no-adapter`: there is none, and the message says what to install; `no-device`: it grants no
   * device.
   */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const { gpu, capabilities } = await openGpu(options);
    const debug = openDebug(options.debug);
    const device = new Device(gpu, capabilities, debug);
    if (debug) device.profile();
    return device;
  }

  /**
   * Begins work that the GPU may refuse. It ends when what this returns is disposed. Once no work is under way, the
   * device forgets an error, with all that it may have broken, so that the next work can succeed. A lost device stays
   * lost.
   *
   * @example
   * ```ts
   * import { Device } from "@bitwise/infinity/engine";
   *
   * using device = await Device.open();
   * {
   *   await using _work = device.begin();
   *   using x = device.from("f32", [2], Float32Array.of(1, 2));
   *   console.log(await device.read(x));
   * }
   * ```
   *
   * @throws {DeviceError} `device-lost`, `disposed-device`.
   */
  begin(): AsyncDisposable {
    return this.#failures.begin();
  }

  /**
   * Counts since the device was opened: recorded dispatches, their multiplications and additions where a kernel gives
   * them (linear layers, convolutions, attention), submits, and compiled pipelines.
   */
  get counters(): { dispatches: number; flops: number; submits: number; pipelines: number } {
    const { dispatches, flops, submits, pipelines } = this.#recorder;
    return { dispatches, flops, submits, pipelines: pipelines.size };
  }

  /**
   * Allocates a tensor with undefined contents.
   *
   * @param dtype Element type.
   * @param shape Extent of each axis, outermost first.
   * @param label Its name in messages.
   * @param role What it is for, in the account of memory.
   * @throws {InputError} `bad-type`: `dtype` is none, or `shape` is not a list of whole numbers.
   * @throws {OutOfMemoryError} `binding-too-large`: it exceeds one binding of this adapter.
   * @throws {DeviceError | OutOfMemoryError} The first error that the GPU has reported.
   */
  tensor(
    dtype: TensorDType,
    shape: readonly number[],
    label: string = "tensor",
    role: MemoryRole = "workspace",
  ): Tensor {
    this.check();
    checkShape(dtype, shape);
    const bytes = Math.max(16, Math.ceil(elementCount(shape) * ELEMENT_BYTES[dtype] / 16) * 16);
    const buffer = this.memory.allocate(bytes, label, role);
    const release = () => this.memory.release(buffer);
    return this.#keep(new Tensor(dtype, shape, { buffer, end: bytes, release }));
  }

  /** Remembers what was made, for {@link Device.allOrNothing}. */
  #keep<T extends Tensor | Texture>(made: T): T {
    this.#made?.push(made);
    return made;
  }

  /**
   * Runs `make`. If it throws, for lack of memory for instance, disposes the tensors and textures that it made, which
   * nothing else refers to. `make` must be synchronous, or what others make in the meantime would count as its own.
   */
  allOrNothing<T>(make: () => T): T {
    const outer = this.#made;
    const made: (Tensor | Texture)[] = this.#made = [];
    try {
      return make();
    } catch (error) {
      for (const one of made) one.dispose();
      throw error;
    } finally {
      this.#made = outer;
      outer?.push(...made);
    }
  }

  /**
   * Allocates a tensor and uploads `data`, whose element type must be that of `dtype`. See {@link Device.tensor}.
   *
   * @throws {InputError} `bad-type`: `data` are others, more or fewer.
   * @throws {OutOfMemoryError} `binding-too-large`: it exceeds one binding of this adapter.
   */
  from(
    dtype: TensorDType,
    shape: readonly number[],
    data: TensorData,
    label?: string,
    role?: MemoryRole,
  ): Tensor {
    return this.allOrNothing(() => {
      const tensor = this.tensor(dtype, shape, label, role);
      checkData(tensor, data);
      this.upload(tensor, data);
      return tensor;
    });
  }

  /**
   * Copies a tensor of whole rows of {@link TEXTURE_WIDTH} texels to a texture of its own. Texels are vec4s of f32 or
   * f16, or with another `format` u32s whose four bytes it normalises.
   *
   * @throws {KernelError} `bad-shape`: the tensor does not fit a texture.
   */
  texture(
    data: Tensor,
    format: TexelFormat = floatTexel(data),
    label: string = "texture",
    role: MemoryRole = "workspace",
  ): Texture {
    const bytesPerRow = TEXTURE_WIDTH * TEXEL_BYTES[format];
    const rows = data.byteLength / bytesPerRow;
    if (rows % 1 || rows > this.gpu.limits.maxTextureDimension2D) {
      throw new KernelError("bad-shape", `Cannot make a texture of [${data.shape}]`);
    }
    this.check();
    checkPlace(data);
    this.flush();
    const texture = this.memory.createTexture(rows, format, label);
    const source = { buffer: data.buffer, offset: data.byteOffset, bytesPerRow };
    this.#submit((encoder) =>
      encoder.copyBufferToTexture(source, { texture }, [TEXTURE_WIDTH, rows])
    );
    this.memory.count(data.byteLength, role);
    const release = () => {
      this.flush(); // unlike a pooled buffer, a destroyed texture is gone for work already recorded
      texture.destroy();
      this.memory.count(-data.byteLength, role);
    };
    return this.#keep(new Texture(texture, format, data.byteLength, release));
  }

  /**
   * Copies a tensor of whole vec4s of f32 or f16 to a texture, in the order of dispatches. A disposed texture is kept
   * for reuse; work recorded before still runs.
   *
   * @throws {KernelError} `bad-shape`: no texture is large enough.
   */
  stage(tensor: Tensor, label: string = "staged"): Texture {
    const format = floatTexel(tensor);
    const texels = tensor.byteLength / TEXEL_BYTES[format];
    // a power of two, since each size that is kept is memory
    const rows = 2 ** Math.ceil(Math.log2(Math.max(1, texels / TEXTURE_WIDTH)));
    if (texels % 1 || rows > this.gpu.limits.maxTextureDimension2D) {
      throw new KernelError("bad-shape", `Cannot stage [${tensor.shape}] in a texture`);
    }
    this.check();
    checkPlace(tensor);
    const texture = this.memory.takeTexture(rows, format, label);
    const release = () => this.memory.releaseTexture(texture);
    const staged = this.#keep(new Texture(texture, format, tensor.byteLength, release));
    this.#failures.attempt(() => this.#recorder.copy(tensor, texture, format));
    return staged;
  }

  /** Writes `data` to `tensor` from byte `offset` on, after all recorded work: whole words of 4 bytes, or its end. */
  upload(tensor: Tensor, data: TensorData, offset: number = 0): void {
    checkRoom(data, tensor, offset);
    this.flush();
    const { buffer, byteOffset } = tensor;
    this.#failures.attempt(() => writeData(this.gpu.queue, buffer, byteOffset + offset, data));
  }

  /** Copies `from` to the beginning of `to`, or to its byte `offset`: as {@link Device.upload} writes. */
  copy(from: Tensor, to: Tensor, offset: number = 0): void {
    checkPlace(from);
    checkRoom(from, to, offset);
    const bytes = Math.ceil(from.byteLength / 4) * 4;
    if (bytes === 0) return;
    this.flush();
    const at = to.byteOffset + offset;
    this.#submit((encoder) =>
      encoder.copyBufferToBuffer(from.buffer, from.byteOffset, to.buffer, at, bytes)
    );
  }

  /** Submits commands of their own. */
  #submit(encode: (encoder: GPUCommandEncoder) => void): void {
    this.#failures.attempt(() => {
      const encoder = this.gpu.createCommandEncoder();
      encode(encoder);
      this.gpu.queue.submit([encoder.finish()]);
    });
  }

  /** Records one dispatch of a kernel; see {@link defineKernel}. */
  run<B extends string, P extends string>(kernel: Kernel<B, P>, call: Dispatch<B, P>): void {
    this.#failures.attempt(() => this.#recorder.dispatch(kernel, call));
  }

  /**
   * Makes a device that computes nothing and allocates nothing, and on which kernels choose as on this one: what it
   * compiles, {@link Device.prepare} compiles here.
   */
  rehearsal(): Device {
    const { features, limits } = this.gpu;
    const device = new Device(dryDevice(features, limits), this.capabilities, null);
    device.tuning = this.tuning;
    return device;
  }

  /** Whether {@link Device.prepare} compiles in parallel: Dawn does; Deno's own WebGPU compiles in the call. */
  get preparesInParallel(): boolean {
    return this.capabilities.implementation === "dawn" &&
      "createComputePipelineAsync" in this.gpu;
  }

  /**
   * Compiles what `rehearsed` compiled and this device did not, several pipelines at a time. A pipeline that fails is
   * left to the first dispatch, which reports why.
   *
   * @param rehearsed A {@link Device.rehearsal} on which the work to come was done.
   * @param signal Starts no further pipeline once it is aborted.
   */
  async prepare(rehearsed: Device, signal?: AbortSignal): Promise<void> {
    const { pipelines } = this.#recorder;
    const recipes = [...rehearsed.#recorder.pipelines];
    const worker = async () => {
      for (let next = recipes.pop(); next && !this.#disposed; next = recipes.pop()) {
        if (signal?.aborted) return;
        await pipelines.prepare(next).catch(() => {});
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_PIPELINES }, worker));
  }

  /** Submits what was recorded, without waiting. */
  flush(): void {
    this.#failures.attempt(() => this.#recorder.flush());
  }

  /** Frees the memory kept for reuse if it exceeds `keep` bytes. */
  trim(keep: number = 0): void {
    if (this.memory.pooledBytes <= keep) return;
    this.flush();
    this.#recorder.forgetGroups();
    this.memory.trim();
  }

  /**
   * Reads one tensor back as its elements. Waits for the GPU; in Deno this blocks the thread while the GPU works.
   *
   * @throws {DeviceError | OutOfMemoryError} The first error that the GPU has reported.
   */
  async read(tensor: Tensor): Promise<TensorData> {
    return (await this.readAll([tensor]))[0]!;
  }

  /**
   * Reads tensors back in one transfer.
   *
   * @throws {DeviceError | OutOfMemoryError} The first error that the GPU has reported.
   */
  async readAll(tensors: readonly Tensor[]): Promise<TensorData[]> {
    this.flush();
    return await this.#failures.wait(() => {
      this.readBacks++;
      return readBack(this.gpu, tensors);
    });
  }

  /**
   * Waits until the GPU has finished all recorded work.
   *
   * @throws {DeviceError | OutOfMemoryError} The first error that the GPU has reported.
   */
  async finish(): Promise<void> {
    this.flush();
    await this.#failures.wait(() => this.gpu.queue.onSubmittedWorkDone());
  }

  /**
   * Throws the first error that the GPU has reported, if any, until the work has ended that it belongs to. Errors
   * arrive asynchronously.
   *
   * @throws {DeviceError | OutOfMemoryError} That error.
   */
  check(): void {
    this.#failures.check();
  }

  /**
   * The profiler that times every dispatch: since {@link Device.profile}, or from the beginning at debug level 2. Null
   * otherwise.
   */
  get profiler(): Profiler | null {
    return this.#recorder.profiler;
  }

  /** Starts to time every dispatch with a new profiler. Returns null if the adapter has no timestamps. */
  profile(): Profiler | null {
    if (!this.capabilities.timestamps) return null;
    this.flush();
    this.#failures.attempt(() => this.#recorder.profiler = new Profiler(this.gpu));
    return this.#recorder.profiler;
  }

  /** Frees pooled memory and closes the device. Its tensors are unusable afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#failures.close();
    this.memory.trim();
    this.gpu.destroy();
  }

  /** Calls {@link Device.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
