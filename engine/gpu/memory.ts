import { formatBytes, OutOfMemoryError } from "../base/errors.ts";
import { gpuError } from "./gpu_error.ts";
import { TEXEL_BYTES, type TexelFormat, TEXTURE_WIDTH } from "./texture.ts";

/** Bytes of a texture. */
function textureBytes({ height, format }: GPUTexture): number {
  return height * TEXTURE_WIDTH * TEXEL_BYTES[format as TexelFormat];
}

/** Rounds a size up, by at most 3 %, so that a freed buffer fits the next request of about its size. */
function sizeClass(bytes: number): number {
  if (bytes <= 4096) return Math.max(16, 2 ** Math.ceil(Math.log2(bytes)));
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 5);
  return Math.ceil(bytes / step) * step;
}

/**
 * Freed things of one kind, by size. Gives back the one that was made first: so an image takes the same buffers as the
 * image before it, and finds its bind groups again.
 */
class Pool<T extends object> {
  /** Newest first. */
  #lists: Map<number | string, T[]> = new Map();
  #numbers: WeakMap<T, number> = new WeakMap();
  #made = 0;

  /** Takes what was made first of a size, or makes it. */
  take(size: number | string, make: () => T): { item: T; kept: boolean } {
    const kept = this.#lists.get(size)?.pop();
    if (kept) return { item: kept, kept: true };
    const item = make();
    this.#numbers.set(item, ++this.#made);
    return { item, kept: false };
  }

  /** Keeps a thing for reuse. */
  give(size: number | string, item: T): void {
    let list = this.#lists.get(size);
    if (!list) this.#lists.set(size, list = []);
    const number = this.#numbers.get(item)!;
    let at = list.length;
    while (at > 0 && this.#numbers.get(list[at - 1]!)! < number) at--;
    list.splice(at, 0, item);
  }

  /** Returns all that it kept. */
  clear(): T[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    return all;
  }
}

/** What memory is for: weights, caches (keys and values), or a workspace for everything else. */
export type MemoryRole = "weights" | "cache" | "workspace";

/**
 * Allocates GPU memory, keeps a pool of freed buffers and textures, and accounts for every byte.
 *
 * Deno does not collect dropped GPU buffers, so each buffer has an owner that releases it.
 */
export class Memory {
  #device: GPUDevice;
  #buffers: Pool<GPUBuffer> = new Pool();
  /** By format and rows. */
  #textures: Pool<GPUTexture> = new Pool();
  #live = 0;
  #peak = 0;
  #pooled = 0;
  #roles: Map<GPUBuffer, MemoryRole> = new Map();
  /** Called at every change with a role, how many more bytes (or fewer) it has in use, and all bytes then held. */
  observer: ((role: MemoryRole, bytes: number, held: number) => void) | null = null;

  /** Makes the account of one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes in use now. */
  get liveBytes(): number {
    return this.#live;
  }

  /** Most bytes held at once, in use or kept for reuse, since the last {@link Memory.resetPeak}. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Bytes kept for reuse and not in use. */
  get pooledBytes(): number {
    return this.#pooled;
  }

  /** Sets the peak to the bytes held now. */
  resetPeak(): void {
    this.#peak = this.#live + this.#pooled;
  }

  /**
   * Allocates a buffer of at least `bytes` with undefined contents.
   *
   * @throws {OutOfMemoryError} `binding-too-large`: it exceeds one buffer or one binding of this adapter.
   * @throws {DeviceError} `gpu-error`: WebGPU threw.
   */
  allocate(bytes: number, label: string, role: MemoryRole = "workspace"): GPUBuffer {
    const limit = Math.min(
      this.#device.limits.maxBufferSize,
      this.#device.limits.maxStorageBufferBindingSize,
    );
    if (bytes > limit) {
      // weights are loaded as f32 before they are packed, and without f16 all else is f32, too
      const halves = role !== "weights" && this.#device.features.has("shader-f16");
      const advice = role === "weights"
        ? "use a smaller model"
        : `try a smaller size${
          halves ? ", a smaller batch or smaller weights" : " or a smaller batch"
        }`;
      throw new OutOfMemoryError(
        "binding-too-large",
        `Cannot allocate ${label}: it needs ${formatBytes(bytes)}, one binding of this adapter ` +
          `holds ${formatBytes(limit)}; ${advice}`,
        halves ? { hint: "use-f16" } : {},
      );
    }
    const size = Math.min(sizeClass(bytes), Math.floor(limit / 16) * 16);
    const { item: buffer, kept } = this.#buffers.take(
      size,
      () =>
        this.#make(() =>
          this.#device.createBuffer({
            label: `${label} (${formatBytes(size)})`,
            size,
            usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
          })
        ),
    );
    if (kept) this.#pooled -= size;
    this.#roles.set(buffer, role);
    this.count(size, role);
    return buffer;
  }

  /** Takes a buffer back for reuse. Work recorded on it still runs first. */
  release(buffer: GPUBuffer): void {
    this.#pooled += buffer.size;
    this.count(-buffer.size, this.#roles.get(buffer)!);
    this.#roles.delete(buffer);
    this.#buffers.give(buffer.size, buffer);
  }

  /** Makes a texture that kernels read, with undefined contents; the caller accounts for it. */
  createTexture(rows: number, format: TexelFormat, label: string): GPUTexture {
    return this.#make(() =>
      this.#device.createTexture({
        label,
        size: [TEXTURE_WIDTH, rows],
        format,
        usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
      })
    );
  }

  #make<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      throw gpuError(error, this.#live);
    }
  }

  /** Returns a workspace texture with undefined contents, new or kept. */
  takeTexture(rows: number, format: TexelFormat, label: string): GPUTexture {
    const { item: texture, kept } = this.#textures.take(
      `${format}/${rows}`,
      () => this.createTexture(rows, format, label),
    );
    if (kept) this.#pooled -= textureBytes(texture);
    this.count(textureBytes(texture), "workspace");
    return texture;
  }

  /** Takes a texture of {@link Memory.takeTexture} back for reuse. Work recorded on it still runs first. */
  releaseTexture(texture: GPUTexture): void {
    this.#pooled += textureBytes(texture);
    this.count(-textureBytes(texture), "workspace");
    this.#textures.give(`${texture.format}/${texture.height}`, texture);
  }

  /** Accounts for `bytes` held outside buffers (in textures); negative when they are freed. */
  count(bytes: number, role: MemoryRole): void {
    this.#live += bytes;
    const held = this.#live + this.#pooled;
    this.#peak = Math.max(this.#peak, held);
    this.observer?.(role, bytes, held);
  }

  /**
   * Destroys all buffers and textures not in use. {@link Device.trim} makes sure that recorded work needs none of
   * them.
   */
  trim(): void {
    for (const item of [...this.#buffers.clear(), ...this.#textures.clear()]) item.destroy();
    this.#pooled = 0;
    this.observer?.("workspace", 0, this.#live);
  }
}
