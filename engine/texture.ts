import { KernelError } from "./errors.ts";

/** Texels of a texture's row: kernels find texel i at (i % 1024, i / 1024). */
export const TEXTURE_WIDTH = 1024;

/** How a texel of four numbers is stored; kernels read f32. */
export type TexelFormat = "rgba32float" | "rgba16float" | "rgba8snorm" | "rgba8unorm";

/** Bytes of one texel. */
export const TEXEL_BYTES: Readonly<Record<TexelFormat, number>> = {
  rgba32float: 16,
  rgba16float: 8,
  rgba8snorm: 4,
  rgba8unorm: 4,
};

/** Views of textures, made once: they tell bind groups of the same texture. */
const VIEWS = new WeakMap<GPUTexture, GPUTextureView>();

/**
 * A list of vec4s in texture memory, in rows of {@link TEXTURE_WIDTH}; kernels bind it as a read-only storage texture.
 *
 * Software adapters read such texels far faster than storage buffers inside loops, so what is multiplied lies here on
 * them.
 */
export class Texture {
  #view: GPUTextureView;
  #release: () => void;
  #disposed = false;

  /** Use {@link Device.texture} or {@link Device.stage}. */
  constructor(
    texture: GPUTexture,
    /** How texels are stored. */
    readonly format: TexelFormat,
    /** Bytes of its contents. */
    readonly byteLength: number,
    release: () => void,
  ) {
    this.#view = VIEWS.get(texture) ?? texture.createView();
    VIEWS.set(texture, this.#view);
    this.#release = release;
  }

  /** The view kernels bind. Throws once the texture is disposed. */
  view(): GPUTextureView {
    if (this.#disposed) throw new KernelError("disposed-tensor", "Cannot use a disposed texture");
    return this.#view;
  }

  /** Gives the memory back; later use throws. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  /** {@link Texture.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
