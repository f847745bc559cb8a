import { KernelError } from "./errors.ts";

/**
 * A read-only matrix of vec4s in texture memory, made by {@link Device.texture}.
 *
 * Software adapters read textures far faster than storage buffers inside loops, so weights live here on them.
 */
export class Texture {
  #texture: GPUTexture;
  #view: GPUTextureView;
  #release: () => void;
  #disposed = false;

  /** Use {@link Device.texture}. */
  constructor(texture: GPUTexture, release: () => void) {
    this.#texture = texture;
    this.#view = texture.createView();
    this.#release = release;
  }

  /** The view kernels bind. Throws once the texture is disposed. */
  view(): GPUTextureView {
    if (this.#disposed) throw new KernelError("disposed-tensor", "Cannot use a disposed texture");
    return this.#view;
  }

  /** Destroys the texture; later use throws. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
    this.#texture.destroy();
  }
}
