import { type Device, InputError, type Tensor, type TensorData } from "../../engine/mod.ts";
import { checkFinite } from "../../kernels/elementwise/check_finite.ts";
import { rgba8 } from "../../kernels/elementwise/rgba8.ts";
import type { TextFeatures } from "../text/text_rows.ts";
import type { Transformer } from "../transformer/transformer.ts";
import type { VaeDecoder } from "../vae/vae.ts";
import type { Plan } from "./plan/plan.ts";
import { type Hooks, pauser, type Report, reporter } from "./plan/progress.ts";
import { type SamplerHooks, ScaleSampler } from "./scales.ts";
import { Trace } from "./trace.ts";

/** Images, their bits and, if asked for, a trace. */
export interface Generated {
  /** RGBA bytes of each image, row-major. */
  readonly pixels: Uint8Array<ArrayBuffer>[];
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bits of the tokens by scale, [B, h·w, d]. */
  readonly bits: readonly Uint32Array[];
  /** Named tensors; empty unless the plan asks for a trace. */
  readonly trace: Trace;
}

/** A scale that has just been sampled. */
export interface SampledScale {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Bits of the tokens of this scale and of all before, [B, h·w, d] each. */
  readonly bits: readonly Uint32Array[];
  /** RGBA of each image as decoded so far, if images were asked for; absent at the last scale. */
  readonly pixels?: Uint8Array<ArrayBuffer>[];
}

/** What to read back and yield after each scale: nothing, its bits, or its bits and the images so far. */
export type Steps = "none" | "bits" | "images";

/** Gives the VAE decoder. */
export interface Decoder {
  /** Called between two scales. */
  preview(): Promise<VaeDecoder>;
  /** Called once everything that the transformer needs is freed. */
  final(): Promise<VaeDecoder>;
}

/**
 * Text features to images: scale by scale through the transformer, bits sampled on the GPU, the sum of their codes
 * decoded (`autoregressive_infer_cfg` in infinity/models/infinity.py). Reads back once, at the end; `steps` adds one
 * read-back per scale, whose result is yielded.
 *
 * @param text Stays the caller's.
 * @throws {InputError} `not-finite`: logits or images hold NaN or infinity.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function* generate(
  device: Device,
  transformer: Transformer,
  decoder: Decoder,
  text: TextFeatures,
  plan: Plan,
  hooks: Hooks = {},
  steps: Steps = "none",
): AsyncGenerator<SampledScale, Generated, void> {
  using owned = new DisposableStack();
  const trace = owned.adopt(new Trace(device, plan.trace), (trace) => trace.dispose());
  const nonFinite = owned.use(device.from("u32", [1], Uint32Array.of(0), "check"));
  const report = reporter(device, plan.schedule.length, hooks);
  const sampled = owned.use(
    yield* sampleScales(device, transformer, text, plan, {
      trace,
      report,
      pause: pauser(device, transformer.config, hooks),
      nonFinite,
      steps,
      preview: decoder.preview,
    }),
  );
  const vae = await decoder.final();
  const packed = owned.use(
    device.allOrNothing(() => decodeSum(device, vae, sampled.sum, nonFinite)),
  );
  const [B = 0, height = 0, width = 0] = packed.shape;
  await report("decode", plan.schedule.length - 1, height, width);
  const [check, rgba, ...rest] = await device.readAll([
    nonFinite,
    packed,
    ...sampled.unread,
    ...trace.tensors,
  ]);
  hooks.signal?.throwIfAborted();
  refuseNonFinite(check!);
  const pixels = splitImages(rgba!, B);
  const unread = rest.slice(0, sampled.unread.length) as Uint32Array[];
  trace.finish(rest.slice(unread.length), pixels, width, height);
  return { pixels, width, height, bits: [...sampled.bits, ...unread], trace };
}

/** What a run of scales reports to, and what it reads back. */
interface ScaleHooks extends SamplerHooks {
  readonly report: Report;
  readonly steps: Steps;
  readonly preview: Decoder["preview"];
}

/** All sampled scales; owns the tensors. */
class SampledScales implements Disposable {
  constructor(
    /** The sum of the codes [B, H, W, d] in positions of the VAE. */
    readonly sum: Tensor,
    /** Bits that were read back on the way, by scale. */
    readonly bits: readonly Uint32Array[],
    /** Bits of all scales that are still on the GPU, [B, h·w, d] u32 by scale. */
    readonly unread: readonly Tensor[],
  ) {}

  [Symbol.dispose](): void {
    for (const tensor of [this.sum, ...this.unread]) tensor.dispose();
  }
}

/** Samples all scales. What it returns outlives the sampler, whose memory is free for the VAE then. */
async function* sampleScales(
  device: Device,
  transformer: Transformer,
  text: TextFeatures,
  plan: Plan,
  hooks: ScaleHooks,
): AsyncGenerator<SampledScale, SampledScales, void> {
  const { schedule } = plan;
  using sampler = new ScaleSampler(device, transformer, text, plan, hooks);
  using unread = new DisposableStack();
  const tensors: Tensor[] = [];
  const read: Uint32Array[] = [];
  for (const [scale, [height, width]] of schedule.entries()) {
    const bits = await sampler.sample(scale);
    if (hooks.steps === "none") {
      tensors.push(unread.use(bits));
      await hooks.report("scale", scale, height, width);
      continue;
    }
    const decodes = hooks.steps === "images" && scale + 1 < schedule.length;
    const { data, pixels } = await readScale(device, bits, sampler.sum, decodes, hooks);
    read.push(data);
    await hooks.report("scale", scale, height, width, true);
    yield { scale, bits: read.slice(), pixels };
  }
  unread.move();
  return new SampledScales(sampler.takeSum(), read, tensors);
}

/** Reads back the bits of a scale, which it frees, and if `decodes`, the images so far. */
async function readScale(
  device: Device,
  bits: Tensor,
  sum: Tensor,
  decodes: boolean,
  { preview, nonFinite }: ScaleHooks,
): Promise<{ data: Uint32Array; pixels?: Uint8Array<ArrayBuffer>[] }> {
  using _ = bits;
  const vae = decodes ? await preview() : null;
  using packed = vae && device.allOrNothing(() => decodeSum(device, vae, sum, nonFinite));
  const [check, data, rgba] = await device.readAll([nonFinite, bits, ...packed ? [packed] : []]);
  refuseNonFinite(check!);
  return { data: data as Uint32Array, pixels: rgba && splitImages(rgba, bits.shape[0]!) };
}

/**
 * Decodes a sum of codes to images, [B, height, width] u32 RGBA; sets `nonFinite`, if given, where they are not finite.
 */
export function decodeSum(
  device: Device,
  vae: VaeDecoder,
  sum: Tensor,
  nonFinite?: Tensor,
): Tensor {
  using decoded = vae.decode(sum);
  const packed = device.tensor("u32", decoded.shape.slice(0, 3), "RGBA");
  rgba8(device, { x: decoded, y: packed });
  if (nonFinite) checkFinite(device, { x: decoded, nonFinite });
  return packed;
}

/** Runs a generator to its end and returns its result. */
export async function outcome<R>(steps: AsyncGenerator<unknown, R, void>): Promise<R> {
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  return next.value;
}

/** The bytes of each image of a batch of packed RGBA. */
export function splitImages(rgba: TensorData, images: number): Uint8Array<ArrayBuffer>[] {
  const bytes = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength);
  const size = bytes.length / images;
  return Array.from({ length: images }, (_, b) => bytes.slice(b * size, (b + 1) * size));
}

/** Throws if {@link checkFinite} found something. */
function refuseNonFinite([nonFinite]: TensorData): void {
  if (nonFinite === 0) return;
  throw new InputError(
    "not-finite",
    "Cannot generate: the model computed NaN or infinity; its weights or text features hold some, " +
      "or they overflow in half precision",
    { hint: "use-f32" },
  );
}
