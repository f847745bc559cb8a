import { formatBytes, OutOfMemoryError } from "./errors.ts";
import { TEXEL_BYTES, type TexelFormat, TEXTURE_WIDTH } from "./texture.ts";

/** Bytes of a texture. */
function textureBytes({ height, format }: GPUTexture): number {
  return height * TEXTURE_WIDTH * TEXEL_BYTES[format as TexelFormat];
}

/** Sizes are rounded, by at most 3 %, so that a freed buffer fits the next request of about its size. */
function sizeClass(bytes: number): number {
  if (bytes <= 4096) return Math.max(16, 2 ** Math.ceil(Math.log2(bytes)));
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 5);
  return Math.ceil(bytes / step) * step;
}

/**
 * Every byte of GPU memory the engine holds: allocation, a pool of freed buffers, and the account.
 * Dropped GPU buffers are not collected by Deno, so each has an owner that releases it.
 */
export class Memory {
  #device: GPUDevice;
  #pool: Map<string, GPUBuffer[]> = new Map();
  #live = 0;
  #peak = 0;
  #pooled = 0;
  #labels: Map<GPUBuffer, string> = new Map();
  /** Textures kept for reuse, by format and rows. */
  #textures: Map<string, GPUTexture[]> = new Map();
  /** Hears every change: a label's bytes more or less in use, and all bytes held then. */
  observer: ((label: string, bytes: number, held: number) => void) | null = null;

  /** Accounts for the buffers of one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes in use now. */
  get liveBytes(): number {
    return this.#live;
  }

  /** Most bytes that were held at once, in use or kept for reuse, since the last {@link Memory.resetPeak}. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Bytes that are kept for reuse and in use by nobody. */
  get pooledBytes(): number {
    return this.#pooled;
  }

  /** Begins a new high-water mark at the present level. */
  resetPeak(): void {
    this.#peak = this.#live + this.#pooled;
  }

  /**
   * A buffer of at least `bytes` with undefined contents. Kernel parameters (`uniform`) have a pool of their own: they
   * are allocated after the dispatches they belong to were recorded, whose freed buffers must not become theirs.
   * @throws {OutOfMemoryError} if it is larger than one buffer or one binding of this adapter may be.
   */
  allocate(bytes: number, label: string, kind: "storage" | "uniform" = "storage"): GPUBuffer {
    const limit = Math.min(
      this.#device.limits.maxBufferSize,
      this.#device.limits.maxStorageBufferBindingSize,
    );
    if (bytes > limit) {
      throw new OutOfMemoryError(
        "binding-too-large",
        `Cannot allocate ${label}: it needs ${formatBytes(bytes)}, one binding of this adapter ` +
          `holds ${formatBytes(limit)}; try a smaller size, batch or --type f16`,
      );
    }
    const size = Math.min(sizeClass(bytes), Math.floor(limit / 16) * 16);
    const usage = GPUBufferUsage.COPY_DST |
      (kind === "uniform"
        ? GPUBufferUsage.UNIFORM
        : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
    let buffer = this.#pool.get(`${usage}/${size}`)?.pop();
    if (buffer) this.#pooled -= size;
    else {
      buffer = this.#device.createBuffer({
        label: `${label} (${formatBytes(size)})`,
        size,
        usage,
      });
    }
    this.#labels.set(buffer, label);
    this.count(size, label);
    return buffer;
  }

  /** Takes a buffer back for reuse. Work already recorded on it still runs first. */
  release(buffer: GPUBuffer): void {
    this.#pooled += buffer.size;
    this.count(-buffer.size, this.#labels.get(buffer)!);
    this.#labels.delete(buffer);
    const key = `${buffer.usage}/${buffer.size}`;
    const list = this.#pool.get(key);
    if (list) list.push(buffer);
    else this.#pool.set(key, [buffer]);
  }

  /** A texture that kernels read, with undefined contents; the caller accounts for it. */
  createTexture(rows: number, format: TexelFormat): GPUTexture {
    return this.#device.createTexture({
      size: [TEXTURE_WIDTH, rows],
      format,
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
  }

  /** A texture with undefined contents, new or used. */
  takeTexture(rows: number, format: TexelFormat, label: string): GPUTexture {
    const kept = this.#textures.get(`${format}/${rows}`)?.pop();
    const texture = kept ?? this.createTexture(rows, format);
    if (kept) this.#pooled -= textureBytes(kept);
    this.count(textureBytes(texture), label);
    return texture;
  }

  /** Takes a texture back for reuse. Work already recorded on it still runs first. */
  releaseTexture(texture: GPUTexture, label: string): void {
    this.#pooled += textureBytes(texture);
    this.count(-textureBytes(texture), label);
    const key = `${texture.format}/${texture.height}`;
    const list = this.#textures.get(key);
    if (list) list.push(texture);
    else this.#textures.set(key, [texture]);
  }

  /** Accounts for `bytes` held outside buffers (textures); negative when they go. */
  count(bytes: number, label: string): void {
    this.#live += bytes;
    const held = this.#live + this.#pooled;
    this.#peak = Math.max(this.#peak, held);
    this.observer?.(label, bytes, held);
  }

  /** Destroys the buffers and textures nobody uses; {@link Device.trim} makes sure that no recorded work does. */
  trim(): void {
    for (const list of this.#pool.values()) for (const buffer of list) buffer.destroy();
    this.#pool.clear();
    for (const list of this.#textures.values()) for (const texture of list) texture.destroy();
    this.#textures.clear();
    this.#pooled = 0;
    this.observer?.("pool", 0, this.#live);
  }
}
