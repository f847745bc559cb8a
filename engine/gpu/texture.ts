import { KernelError } from "../base/errors.ts";

/** Texels of one row of a texture: kernels find texel i at (i % 1024, i / 1024). */
export const TEXTURE_WIDTH = 1024;

/** How a texel of four numbers is stored. Kernels read it as f32. */
export type TexelFormat = "rgba32float" | "rgba16float" | "rgba8snorm" | "rgba8unorm";

/** Bytes of one texel of each format. */
export const TEXEL_BYTES: Readonly<Record<TexelFormat, number>> = {
  rgba32float: 16,
  rgba16float: 8,
  rgba8snorm: 4,
  rgba8unorm: 4,
};

/**
 * A list of vec4s in texture memory, in rows of {@link TEXTURE_WIDTH}, which kernels bind as a read-only storage
 * texture.
 *
 * Inside loops, software adapters read texels far faster than storage buffers, so they keep the operands of products in
 * textures.
 */
export class Texture {
  #texture: GPUTexture;
  #release: () => void;
  #disposed = false;

  /** Use {@link Device.texture} or {@link Device.stage}. */
  constructor(
    texture: GPUTexture,
    /** Format of the texels. */
    readonly format: TexelFormat,
    /** Bytes of the contents. */
    readonly byteLength: number,
    release: () => void,
  ) {
    this.#texture = texture;
    this.#release = release;
  }

  /**
   * GPU texture that holds the texels.
   *
   * @throws {KernelError} `disposed-tensor`: the texture was disposed.
   */
  get texture(): GPUTexture {
    if (this.#disposed) throw new KernelError("disposed-tensor", "Cannot use a disposed texture");
    return this.#texture;
  }

  /** Gives the memory back. Later use throws. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  /** Calls {@link Texture.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
