import { type Device, InputError, type Tensor } from "../../engine/mod.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { forceBits, FREE } from "../../kernels/bits/force_bits.ts";
import { nextInput } from "../../kernels/bits/next_input.ts";
import { sampleBits } from "../../kernels/bits/sample_bits.ts";
import type { TextFeatures } from "../text/text_rows.ts";
import type { Pass } from "../transformer/pass.ts";
import type { State } from "../transformer/state.ts";
import type { TextContext } from "../transformer/text_context.ts";
import type { Transformer } from "../transformer/transformer.ts";
import type { Plan } from "./plan/plan.ts";
import type { Trace } from "./trace.ts";

/** What a sampler reports to while it works. */
export interface SamplerHooks {
  /** Keeps copies of logits, bits and sums if the plan asks for them. */
  readonly trace: Trace;
  /** Called after each block, so that a long scale can be interrupted. */
  readonly pause: (pass: Pass) => Promise<void>;
  /** [1] u32, see {@link sampleBits}. */
  readonly nonFinite: Tensor;
}

/** What all scales share. */
interface Setup {
  readonly text: TextContext;
  /** [B, 2] u32, low and high word of each seed. */
  readonly seeds: Tensor;
  /** By scale. */
  readonly passes: readonly Pass[];
  readonly state: State;
  /** By scale [B, h·w, d] u32, where the caller forces bits. */
  readonly forced: readonly (Tensor | undefined)[];
  /** By scale [B, h·w, d] f32, where the caller gives the random numbers. */
  readonly uniforms: readonly (Tensor | undefined)[];
}

/**
 * Samples the bits of one scale after the other and adds up their codes. Owns the GPU memory that the scales share,
 * until it is disposed.
 */
export class ScaleSampler implements Disposable {
  readonly #owned: DisposableStack;
  readonly #setup: Setup;
  readonly #sum: Tensor;
  #ownsSum = true;
  readonly #tokens: readonly number[];
  /** Scales that the transformer runs for: after the last one with a bit to sample, it has no influence. */
  readonly #sampledScales: number;
  readonly #patchify: boolean;
  readonly #d: number;
  /** Codes [B, h·w, d] that the next scale reads. */
  #codes: Tensor | null = null;

  /**
   * Allocates everything that the scales need.
   *
   * @param text Stays the caller's.
   * @throws {InputError} `wrong-length`: forced bits or uniforms do not fit the schedule.
   * @throws {OutOfMemoryError} After freeing what it allocated.
   */
  constructor(
    private readonly device: Device,
    private readonly transformer: Transformer,
    text: TextFeatures,
    private readonly plan: Plan,
    private readonly hooks: SamplerHooks,
  ) {
    const { d_vae, apply_spatial_patchify } = transformer.config;
    this.#d = d_vae;
    this.#patchify = Boolean(apply_spatial_patchify);
    this.#tokens = plan.schedule.map(([h, w]) => h * w);
    const bitsPerToken = plan.images * d_vae;
    this.#sampledScales = plan.trace
      ? plan.schedule.length
      : lastSampledScale(plan, this.#tokens, bitsPerToken) + 1;
    using owned = new DisposableStack();
    this.#sum = device.tensor("f32", this.#sumShape(), "sum of codes");
    owned.defer(() => this.#ownsSum && this.#sum.dispose());
    this.#setup = this.#setUp(text, owned);
    hooks.trace.text(text, this.#setup.text, plan.images);
    this.#owned = owned.move();
  }

  /** The sum of codes [B, H, W, d] f32 of the scales so far, in positions of the VAE; stays the sampler's. */
  get sum(): Tensor {
    return this.#sum;
  }

  /** The sum of codes, which is the caller's from now on; the sampler cannot sample afterwards. */
  takeSum(): Tensor {
    this.#ownsSum = false;
    return this.#sum;
  }

  #sumShape(): number[] {
    const [h, w] = this.plan.schedule.at(-1)!;
    const { images } = this.plan;
    return this.#patchify ? [images, 2 * h, 2 * w, this.#d / 4] : [images, h, w, this.#d];
  }

  #setUp(features: TextFeatures, owned: DisposableStack): Setup {
    const { device, transformer, plan } = this;
    const { schedule, images, guidedScales, cachedScales } = plan;
    const { lens } = features;
    const dispose = (item: { dispose(): void }) => item.dispose();
    const text = owned.adopt(
      device.allOrNothing(() => transformer.text(features.features, lens)),
      dispose,
    );
    const seeds = owned.use(device.from("u32", [images, 2], seedWords(plan.seeds), "seeds"));
    const passes = schedule.map((_, s) => {
      const batch = s < guidedScales ? 2 * images : images;
      const pass = transformer.plan({ schedule, first: s, last: s, lens, batch, cachedScales });
      return owned.adopt(pass, dispose);
    });
    const state = owned.adopt(transformer.state(schedule, plan.referenceGrid, passes), dispose);
    const forced = this.#upload("u32", plan.forceBits, owned);
    const uniforms = this.#upload("f32", plan.uniforms, owned);
    return { text, seeds, passes, state, forced, uniforms };
  }

  /** Uploads values [B, h, w, d] that the caller gives for some scales. */
  #upload(
    dtype: "u32" | "f32",
    given: Plan["uniforms"] | Plan["forceBits"],
    owned: DisposableStack,
  ): (Tensor | undefined)[] {
    checkLengths(given, this.#tokens, this.plan.images, this.#d);
    return this.#tokens.map((n, s) => {
      const values = given[s];
      if (!values) return undefined;
      const data = dtype === "u32" ? Uint32Array.from(values) : Float32Array.from(values);
      return owned.use(this.device.from(dtype, [this.plan.images, n, this.#d], data));
    });
  }

  /** Samples scale `s`, the one after the last sampled, and returns its bits [B, h·w, d] u32, which the caller owns. */
  async sample(s: number): Promise<Tensor> {
    const { device, plan, hooks: { trace } } = this;
    using owned = new DisposableStack();
    const shape = [plan.images, this.#tokens[s]!, this.#d];
    const bits = owned.use(device.tensor("u32", shape, "bits"));
    let delta: Tensor | undefined;
    if (s < this.#sampledScales) {
      await this.#runTransformer(s);
      // the trace takes it over below
      if (trace.on) delta = owned.use(device.tensor("f32", shape, "trace"));
      this.#sampleBits(s, bits, delta);
    }
    this.#accumulate(s, bits);
    const [height, width] = plan.schedule[s]!;
    if (delta) trace.scale(s, height, width, delta, bits, this.#sum);
    this.#prepareInput(s + 1);
    device.flush();
    owned.move();
    return bits;
  }

  /** Fills the residual stream of scale `s`: through all blocks, or from the scale before where the plan skips it. */
  async #runTransformer(s: number): Promise<void> {
    const { transformer, plan: { schedule, cfg, guidedBlocks } } = this;
    const { text, passes, state } = this.#setup;
    const pass = passes[s]!;
    if (this.#restored(s)) {
      transformer.restore(pass, schedule[s]!, passes[s - 1]!, schedule[s - 1]!, state);
      return;
    }
    transformer.input(pass, this.#codes, text, state);
    this.#releaseCodes();
    const guidance = cfg[s] === 1 ? undefined : { blocks: guidedBlocks, cfg: cfg[s]! };
    for (let i = 0; i < transformer.config.depth; i++) {
      transformer.block(i, pass, text, state, guidance);
      await this.hooks.pause(pass);
    }
  }

  /** Whether the plan restores the hidden states of a scale in place of computing them. */
  #restored(s: number): boolean {
    return s >= this.plan.restoredFrom && s < this.plan.schedule.length - 1;
  }

  /** Residual stream to bits: head, guidance, temperature, random numbers. */
  #sampleBits(s: number, bits: Tensor, deltaOut?: Tensor): void {
    const { device, transformer, plan } = this;
    const { text, passes, state, seeds, uniforms } = this.#setup;
    const cfg = plan.cfg[s]!;
    const guided = cfg !== 1 && plan.guidesLogits;
    const sequences = guided ? 2 * plan.images : plan.images;
    using delta = transformer.head(sequences, passes[s]!, text, state);
    sampleBits(device, {
      delta,
      bits,
      batch: plan.images,
      guided,
      cfg,
      tau: plan.tau[s]!,
      topK: plan.topK,
      topP: plan.topP,
      mode: plan.greedy ? "greedy" : uniforms[s] ? "uniforms" : "random",
      seeds,
      scale: s,
      uniforms: uniforms[s],
      nonFinite: this.hooks.nonFinite,
      deltaOut,
    });
  }

  /** Overwrites the bits that are forced, and adds the codes of all of them to the sum. */
  #accumulate(s: number, bits: Tensor): void {
    const forced = this.#setup.forced[s];
    if (forced) forceBits(this.device, { forced, bits });
    const [height, width] = this.plan.schedule[s]!;
    accumulateCodes(this.device, {
      bits,
      sum: this.#sum,
      height,
      width,
      first: s === 0,
      patchify: this.#patchify,
    });
  }

  /** Resizes the sum to the grid of scale `s`, if the transformer reads it. */
  #prepareInput(s: number): void {
    if (s >= this.#sampledScales || this.#restored(s)) return;
    const { device, plan } = this;
    const [height, width] = plan.schedule[s]!;
    this.#codes = device.tensor("f32", [plan.images, height * width, this.#d], "codes");
    nextInput(device, {
      sum: this.#sum,
      y: this.#codes,
      height,
      width,
      patchify: this.#patchify,
    });
  }

  #releaseCodes(): void {
    this.#codes?.dispose();
    this.#codes = null;
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#releaseCodes();
    this.#owned.dispose();
  }
}

/** Seeds as pairs of 32-bit words, low first. */
function seedWords(seeds: readonly bigint[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    seeds.flatMap((seed) => [Number(seed & 0xffffffffn), Number(seed >> 32n & 0xffffffffn)]),
  );
}

/** The last scale with a bit that is sampled, not forced; −1 if there is none. */
function lastSampledScale({ forceBits }: Plan, tokens: readonly number[], bits: number): number {
  return tokens.findLastIndex((n, s) => {
    const forced = forceBits[s];
    return !forced || forced.length !== n * bits || forced.some((bit) => bit === FREE);
  });
}

/** Checks values that the caller gives for some scales. @throws {InputError} `wrong-length` */
function checkLengths(
  given: readonly (ArrayLike<number> | undefined)[],
  tokens: readonly number[],
  B: number,
  d: number,
): void {
  const extra = given.findIndex((values, s) => values && s >= tokens.length);
  if (extra >= 0) {
    throw new InputError(
      "wrong-length",
      `Cannot use values for scale ${extra}: the schedule has ${tokens.length} scales, 0 to ` +
        `${tokens.length - 1}`,
    );
  }
  const bad = tokens.findIndex((n, s) => given[s] && given[s].length !== B * n * d);
  if (bad < 0) return;
  const n = tokens[bad]!;
  throw new InputError(
    "wrong-length",
    `Cannot use ${given[bad]!.length} values for scale ${bad}: ${B} × ${n} tokens × ${d} bits ` +
      `need ${B * n * d}`,
  );
}
