import type { Device, Tensor, TensorData, TensorToWrite } from "../../engine/mod.ts";
import { offsets } from "../config/offsets.ts";
import type { TextFeatures } from "../text/text_rows.ts";
import type { TextContext } from "../transformer/text_context.ts";

/** A tensor to read back, and how to store it then. */
interface Pending {
  readonly name: string;
  readonly tensor: Tensor;
  readonly finish: (data: TensorData) => Omit<TensorToWrite, "name">;
}

/** Reorders NHWC to NCHW. */
export function channelsFirst(
  data: TensorData,
  shape: readonly number[],
): Float32Array<ArrayBuffer> {
  const [, H = 0, W = 0, C = 0] = shape;
  const y = new Float32Array(data.length);
  for (let i = 0; i < y.length; i++) {
    const c = i % C;
    const at = Math.floor(i / C) % (H * W);
    const b = Math.floor(i / C / H / W);
    y[(b * C + c) * H * W + at] = data[i]!;
  }
  return y;
}

/**
 * Records intermediate tensors of a generation, for comparison with other implementations: keeps copies on the GPU,
 * which are read back with the image. When it is off, every method does nothing.
 */
export class Trace {
  #pending: Pending[] = [];
  /** The finished tensors, ready for a safetensors file. */
  readonly entries: TensorToWrite[] = [];

  /** Records tensors of `device` if `on`. */
  constructor(private readonly device: Device, readonly on: boolean) {}

  /** The tensors to read back. */
  get tensors(): Tensor[] {
    return this.#pending.map(({ tensor }) => tensor);
  }

  #keep(name: string, tensor: Tensor, shape: readonly number[]): void {
    const data = (values: TensorData) => Float32Array.from(values);
    this.#pending.push({
      name,
      tensor,
      finish: (values) => ({ dtype: "F32", shape, data: data(values) }),
    });
  }

  #copy(tensor: Tensor): Tensor {
    const copy = this.device.tensor(tensor.dtype, tensor.shape, "trace");
    this.device.copy(tensor, copy);
    return copy;
  }

  /**
   * Records `text.features` [ΣT, Ct5] and `text.cond` [B, C] of the conditional half, `text.uncond` [B, C] of the
   * other.
   */
  text(text: TextFeatures, context: TextContext, images: number): void {
    if (!this.on) return;
    const rows = offsets(text.lens)[images]!;
    const [, Ct = 0] = text.features.shape;
    const [all = 0, C = 0] = context.pooled.shape;
    this.#keep("text.features", this.#copy(text.features.rows(0, rows)), [rows, Ct]);
    this.#keep("text.cond", this.#copy(context.pooled.rows(0, images)), [images, C]);
    if (all > images) {
      this.#keep("text.uncond", this.#copy(context.pooled.rows(images, images)), [images, C]);
    }
  }

  /**
   * Records `scale{i}.logit_delta` [B, L, d], `.bits` u8 [B, h, w, d] and `.codes_sum` [B, d, H, W]; takes over
   * `delta`.
   */
  scale(index: number, h: number, w: number, delta: Tensor, bits: Tensor, sum: Tensor): void {
    const [B = 0, H = 0, W = 0, dv = 0] = sum.shape;
    const d = bits.shape[2]!;
    this.#keep(`scale${index}.logit_delta`, delta, delta.shape);
    this.#pending.push({
      name: `scale${index}.bits`,
      tensor: this.#copy(bits),
      finish: (data) => ({ dtype: "U8", shape: [B, h, w, d], data: Uint8Array.from(data) }),
    });
    const shape = [B, dv, H, W];
    this.#pending.push({
      name: `scale${index}.codes_sum`,
      tensor: this.#copy(sum),
      finish: (data) => ({ dtype: "F32", shape, data: channelsFirst(data, sum.shape) }),
    });
  }

  /** Turns the tensors as read back into entries, and adds `image` u8 [B, H, W, 3]. */
  finish(
    data: readonly TensorData[],
    pixels: readonly Uint8Array[],
    width: number,
    height: number,
  ): void {
    if (!this.on) return;
    this.#pending.forEach(({ name, finish }, i) => {
      this.entries.push({ name, ...finish(data[i]!) });
    });
    const rgb = new Uint8Array(pixels.length * width * height * 3);
    pixels.forEach((rgba, b) => {
      for (let i = 0; i < width * height; i++) {
        rgb.set(rgba.subarray(4 * i, 4 * i + 3), (b * width * height + i) * 3);
      }
    });
    this.entries.push({
      name: "image",
      dtype: "U8",
      shape: [pixels.length, height, width, 3],
      data: rgb,
    });
  }

  /** Frees the copies. */
  dispose(): void {
    for (const { tensor } of this.#pending) tensor.dispose();
    this.#pending = [];
  }
}
