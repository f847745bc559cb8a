import { type Device, InputError, type Tensor, type TensorData } from "../../engine/mod.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { forceBits, FREE } from "../../kernels/bits/force_bits.ts";
import { nextInput } from "../../kernels/bits/next_input.ts";
import { sampleBits } from "../../kernels/bits/sample_bits.ts";
import { checkFinite } from "../../kernels/elementwise/check_finite.ts";
import { rgba8 } from "../../kernels/elementwise/rgba8.ts";
import type { Plan } from "./plan.ts";
import { type Hooks, pauser, type Report, reporter } from "./progress.ts";
import { Trace } from "./trace.ts";
import type { TextFeatures } from "../text/text_rows.ts";
import type { Pass } from "../transformer/pass.ts";
import type { Transformer } from "../transformer/transformer.ts";
import type { VaeDecoder } from "../vae/vae.ts";

/** Images and, if asked for, what happened on the way. */
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

/** A scale that was just drawn. */
export interface DrawnScale {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Bits of the tokens of this scale and those before, [B, h·w, d] each. */
  readonly bits: readonly Uint32Array[];
  /** What each image looks like so far, RGBA, where it was asked for and scales follow. */
  readonly pixels?: Uint8Array<ArrayBuffer>[];
}

/** How a run is watched: not at all, or at each scale its bits, or its bits and an image. */
export type Steps = "none" | "bits" | "images";

/** Gives the VAE decoder. */
export interface Decoder {
  /** While scales follow. */
  preview(): Promise<VaeDecoder>;
  /** Once all that the transformer needed is freed. */
  final(): Promise<VaeDecoder>;
}

/** Seeds as pairs of 32-bit words, low first. */
function seedWords(seeds: readonly bigint[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    seeds.flatMap((seed) => [Number(seed & 0xffffffffn), Number(seed >> 32n & 0xffffffffn)]),
  );
}

/** Tensors that live until the end of a run. */
class Scope {
  #tensors: { dispose(): void }[] = [];

  keep<T extends { dispose(): void }>(item: T): T {
    this.#tensors.push(item);
    return item;
  }

  [Symbol.dispose](): void {
    for (const item of this.#tensors) item.dispose();
  }
}

/**
 * Text features to images: scale by scale through the transformer, bits drawn on the GPU, the sum of codes decoded
 * (`autoregressive_infer_cfg` in infinity/models/infinity.py). One read-back, at the end; with `steps` one more per
 * scale, which is yielded.
 *
 * @throws {InputError} `not-finite`: logits or images hold NaN or infinity.
 * @throws what `signal` was aborted with.
 */
export async function* generate(
  device: Device,
  transformer: Transformer,
  decoder: Decoder,
  text: TextFeatures,
  plan: Plan,
  hooks: Hooks = {},
  steps: Steps = "none",
): AsyncGenerator<DrawnScale, Generated, void> {
  using scope = new Scope();
  const trace = scope.keep(new Trace(device, plan.trace));
  const report = reporter(device, plan.schedule.length, hooks);
  const pause = pauser(device, transformer.config, hooks);
  const broken = scope.keep(device.from("u32", [1], Uint32Array.of(0), "check"));
  const watch = { trace, report, pause, broken, steps, preview: decoder.preview };
  const drawn = yield* drawScales(device, transformer, text, plan, watch);
  scope.keep(drawn.sum);
  for (const bits of drawn.unread) scope.keep(bits);
  const vae = await decoder.final();
  const packed = scope.keep(device.allOrNothing(() => decodeSum(device, vae, drawn.sum, broken)));
  const [B = 0, height = 0, width = 0] = packed.shape;
  await report("decode", plan.schedule.length, height, width);
  const [check, rgba, ...rest] = await device.readAll([
    broken,
    packed,
    ...drawn.unread,
    ...trace.tensors,
  ]);
  hooks.signal?.throwIfAborted();
  refuseBroken(check!);
  const pixels = splitImages(rgba!, B);
  const unread = rest.slice(0, drawn.unread.length) as Uint32Array[];
  trace.finish(rest.slice(unread.length), pixels, width, height);
  return { pixels, width, height, bits: [...drawn.bits, ...unread], trace };
}

/** The images of a sum of codes, [B, height, width] u32 RGBA; marks `broken`, if given, where they are not finite. */
export function decodeSum(
  device: Device,
  vae: VaeDecoder,
  sum: Tensor,
  broken?: Tensor,
): Tensor {
  using decoded = vae.decode(sum);
  const packed = device.tensor("u32", decoded.shape.slice(0, 3), "RGBA");
  rgba8(device, { x: decoded, y: packed });
  if (broken) checkFinite(device, { x: decoded, nonFinite: broken });
  return packed;
}

/** Runs a generator to its end: what it returns. */
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
function refuseBroken([broken]: TensorData): void {
  if (broken === 0) return;
  throw new InputError(
    "not-finite",
    "Cannot draw: the model computed NaN or infinity; its weights or text features hold some, or " +
      "overflow (--type f32 may help)",
  );
}

/** What looks on while scales are drawn. */
interface Watch {
  readonly trace: Trace;
  readonly report: Report;
  readonly pause: (pass: Pass) => Promise<void>;
  /** See {@link checkFinite}. */
  readonly broken: Tensor;
  /** What is read back of each scale as soon as it is drawn, and yielded. */
  readonly steps: Steps;
  /** See {@link Decoder}. */
  readonly preview: Decoder["preview"];
}

/** What was drawn; the caller disposes the tensors. */
interface Drawn {
  /** The sum of the codes [B, H, W, d] of the VAE. */
  readonly sum: Tensor;
  /** Bits that were read back on the way, by scale. */
  readonly bits: Uint32Array[];
  /** Bits that still have to be, by scale. */
  readonly unread: Tensor[];
}

/** Draws all scales. */
async function* drawScales(
  device: Device,
  transformer: Transformer,
  text: TextFeatures,
  plan: Plan,
  { trace, report, pause, broken, steps, preview }: Watch,
): AsyncGenerator<DrawnScale, Drawn, void> {
  using scope = new Scope();
  const { images: B, schedule, cfg, guidedScales, cachedScales, restoredFrom } = plan;
  const scales = schedule.length;
  const tokens = schedule.map(([h, w]) => h * w);
  const { d_vae: d, apply_spatial_patchify } = transformer.config;
  const patchify = Boolean(apply_spatial_patchify);
  const dv = patchify ? d / 4 : d;
  const [lastH, lastW] = schedule[scales - 1]!;
  const [H, W] = patchify ? [2 * lastH, 2 * lastW] : [lastH, lastW];

  const context = scope.keep(
    device.allOrNothing(() => transformer.text(text.features, text.lens)),
  );
  const seeds = scope.keep(device.from("u32", [B, 2], seedWords(plan.seeds), "seeds"));
  let sum: Tensor | null = device.tensor("f32", [B, H, W, dv], "sum of codes");
  scope.keep({ dispose: () => sum?.dispose() });
  const passes = schedule.map((_, s) =>
    scope.keep(
      transformer.plan({
        schedule,
        first: s,
        last: s,
        lens: text.lens,
        batch: s < guidedScales ? 2 * B : B,
        cachedScales,
      }),
    )
  );
  const state = scope.keep(transformer.state(schedule, plan.referenceGrid, passes));
  const forced = upload(device, scope, plan.forceBits, "u32", tokens, B, d);
  const uniforms = upload(device, scope, plan.uniforms, "f32", tokens, B, d);
  trace.text(text, context, B);

  // behind the last scale of which something is drawn, the transformer has no say
  const drawnScales = plan.trace ? scales : draws(plan, tokens, B * d) + 1;
  const restored = (s: number) => s >= restoredFrom && s < scales - 1;
  const read: Uint32Array[] = [];
  let unread: Tensor[] = [];
  scope.keep({ dispose: () => unread.forEach((bits) => bits.dispose()) });
  let codes: Tensor | null = null;
  scope.keep({ dispose: () => codes?.dispose() });
  for (let s = 0; s < scales; s++) {
    const [h, w] = schedule[s]!;
    const pass = passes[s]!;
    const strength = cfg[s]!;
    const guidance = plan.insertion !== null && strength !== 1
      ? { blocks: [plan.insertion], cfg: strength }
      : undefined;
    const guided = strength !== 1 && plan.insertion === null;
    const bits = device.tensor("u32", [B, tokens[s]!, d], "bits");
    unread.push(bits);
    let deltaOut: Tensor | undefined;
    if (s < drawnScales) {
      if (restored(s)) {
        transformer.restore(pass, schedule[s]!, passes[s - 1]!, schedule[s - 1]!, state);
      } else {
        transformer.input(pass, codes, context, state);
        codes?.dispose();
        for (let i = 0; i < transformer.config.depth; i++) {
          transformer.block(i, pass, context, state, guidance);
          await pause(pass);
        }
      }
      using delta = transformer.head(guided ? 2 * B : B, pass, context, state);
      checkFinite(device, { x: delta, nonFinite: broken });
      if (trace.on) deltaOut = device.tensor("f32", [B, tokens[s]!, d], "trace");
      sampleBits(device, {
        delta,
        bits,
        batch: B,
        guided,
        cfg: strength,
        tau: plan.tau[s]!,
        topK: plan.topK,
        topP: plan.topP,
        mode: plan.greedy ? "greedy" : uniforms[s] ? "uniforms" : "random",
        seeds,
        scale: s,
        uniforms: uniforms[s],
        deltaOut,
      });
    }
    if (forced[s]) forceBits(device, { forced: forced[s]!, bits });
    accumulateCodes(device, { bits, sum, height: h, width: w, first: s === 0, patchify });
    if (deltaOut) trace.scale(s, h, w, deltaOut, bits, sum);
    if (s + 1 < drawnScales && !restored(s + 1)) {
      const [height, width] = schedule[s + 1]!;
      codes = device.tensor("f32", [B, tokens[s + 1]!, d], "codes");
      nextInput(device, { sum, y: codes, height, width, patchify });
    }
    device.flush();
    if (steps === "none") {
      await report("scale", s, h, w);
      continue;
    }
    const vae = steps === "images" && s + 1 < scales ? await preview() : null;
    using packed = vae && device.allOrNothing(() => decodeSum(device, vae, sum!, broken));
    const [check, data, rgba] = await device.readAll([broken, bits, ...packed ? [packed] : []]);
    refuseBroken(check!);
    read.push(data as Uint32Array);
    unread.pop()!.dispose();
    await report("scale", s, h, w, true);
    yield { scale: s, bits: read.slice(), pixels: rgba && splitImages(rgba, B) };
  }

  // what was drawn outlives this scope
  const drawn = { sum, bits: read, unread };
  sum = null;
  unread = [];
  return drawn;
}

/** The last scale of which a bit is drawn, not given; -1 if there is none. */
function draws({ forceBits }: Plan, tokens: readonly number[], bits: number): number {
  return tokens.findLastIndex((n, s) => {
    const given = forceBits[s];
    return !given || given.length !== n * bits || given.some((bit) => bit === FREE);
  });
}

/** Uploads what the caller gives for some scales: values [B, h, w, d] each. */
function upload(
  device: Device,
  scope: Scope,
  given: Plan["uniforms"] | Plan["forceBits"],
  dtype: "u32" | "f32",
  tokens: readonly number[],
  B: number,
  d: number,
): (Tensor | undefined)[] {
  const extra = given.findIndex((values, s) => values && s >= tokens.length);
  if (extra >= 0) {
    throw new InputError(
      "wrong-length",
      `Cannot use values for scale ${extra}: the schedule has ${tokens.length} scales, 0 to ` +
        `${tokens.length - 1}`,
    );
  }
  return tokens.map((n, s) => {
    const values = given[s];
    if (!values) return undefined;
    if (values.length !== B * n * d) {
      throw new InputError(
        "wrong-length",
        `Cannot use ${values.length} values for scale ${s}: ${B} × ${n} tokens × ${d} bits need ` +
          `${B * n * d}`,
      );
    }
    const data = dtype === "u32" ? Uint32Array.from(values) : Float32Array.from(values);
    return scope.keep(device.from(dtype, [B, n, d], data));
  });
}
