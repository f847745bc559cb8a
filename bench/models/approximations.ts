import { digits, mean, median, table, timed } from "../measuring/measure.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import type { ModelConfig } from "../../model/config/types.ts";
import type { FastMode } from "../../model/generate/plan/fast.ts";
import { transformerFlops } from "../../model/generate/plan/flops.ts";
import type { GeneratedImage, Result } from "../../model/generate/images.ts";
import { makePlan, type SamplingOptions } from "../../model/generate/plan/plan.ts";
import { decibels, squaredError, ssim } from "../../model/image/metrics.ts";

/** Prompts that the model knows well, and less likely ones. */
const PROMPTS = [
  ...["red apple", "dog face", "pizza", "rocket", "sunflower", "purple cat", "blue car"],
  ...["birthday cake", "blue pizza", "green rocket", "pink dog face", "purple sunflower"],
  ...["a cute house", "green birthday cake", "red fish", "blue tree"],
];
const SEEDS = 2;
const SEED = 1;
const TIMED = 15;
/**
 * Guided scales of the 2B at 1024x1024 for 0 to 3 of emoji-nano: those with a similar share of the last scale's tokens.
 */
const LARGE = [0, 9, 10, 12];

/** Flags of `bitwise generate`. */
interface Approximation {
  readonly fast: readonly FastMode[];
  /** Number of guided scales of emoji-nano; all if absent. */
  readonly cfgUntil?: number;
}

const BOTH: readonly FastMode[] = ["kv", "prune"];
const CASES: readonly Approximation[] = [
  { fast: [] },
  ...[3, 2, 1, 0].map((cfgUntil): Approximation => ({ fast: [], cfgUntil })),
  { fast: ["kv"] },
  { fast: ["prune"] },
  { fast: BOTH },
  { fast: ["kv"], cfgUntil: 2 },
  { fast: ["kv"], cfgUntil: 1 },
  { fast: BOTH, cfgUntil: 2 },
];

/** What an approximation costs emoji-nano, against the exact images of the same seeds. */
export interface NanoRow {
  /** Flags. */
  readonly name: string;
  /** Mean SSIM over prompts and seeds. */
  readonly ssim: number;
  /** Lowest SSIM. */
  readonly worst: number;
  /** PSNR in dB of the mean squared error. */
  readonly psnr: number;
  /** Share of bits that stay the same. */
  readonly bits: number;
  /** Share of bits whose likelier value stays the same if all earlier bits are the exact image's. */
  readonly forced: number;
  /** CPU time of the process over the machine's cores, for a warm image. */
  readonly milliseconds: number;
  /** TFLOP of the 2B's transformer for an image of 1024x1024, self-attention included. */
  readonly teraflop: number;
}

/** Time and error of a narrow transformer with random weights on the 2B's schedule for 1024x1024. */
export interface LargeRow {
  readonly name: string;
  /** Like {@link NanoRow.milliseconds}, in seconds. */
  readonly seconds: number;
  /** Relative error of the logits of all scales, with the exact run's bits forced. */
  readonly error: number;
  /** See {@link NanoRow.forced}. */
  readonly forced: number;
}

function nameOf({ fast, cfgUntil }: Approximation): string {
  const flags = [
    ...fast.length ? [`--fast ${fast.join()}`] : [],
    ...cfgUntil === undefined ? [] : [`--cfg-until ${cfgUntil}`],
  ];
  return flags.join(" ") || "exact";
}

function deltas(result: Result): Float32Array[] {
  return result.trace.filter(({ name }) => name.endsWith("logit_delta"))
    .map(({ data }) => data as Float32Array);
}

/** Relative error of the logits, and the share of signs that agree. */
function compare(got: readonly Float32Array[], want: readonly Float32Array[]) {
  let [error, norm, same, count] = [0, 0, 0, 0];
  want.forEach((scale, s) =>
    scale.forEach((value, i) => {
      error += (value - got[s]![i]!) ** 2;
      norm += value ** 2;
      count++;
      if ((value > 0) === (got[s]![i]! > 0)) same++;
    })
  );
  return { error: Math.sqrt(error / norm), forced: same / count };
}

function sameBits(a: readonly GeneratedImage[], b: readonly GeneratedImage[]): number {
  let [same, count] = [0, 0];
  a.forEach(({ bits }, i) =>
    bits.scales.forEach((scale, s) =>
      scale.forEach((bit, k) => {
        count++;
        if (bit === b[i]!.bits.scales[s]![k]) same++;
      })
    )
  );
  return same / count;
}

/** Guided scales of the 2B at 1024x1024 in place of those of emoji-nano. */
function largeUntil(scales: number | undefined): number | undefined {
  return scales === undefined ? undefined : LARGE[scales];
}

/** TFLOP of the 2B's transformer at 1024x1024. */
function large(options: SamplingOptions): number {
  const config = parseConfig(findPreset("2b").config, "2b");
  return transformerFlops(config.transformer, makePlan(config, options, 1), 0)
    .reduce((sum, { linear, selfAttention }) => sum + linear + selfAttention, 0) / 1e12;
}

async function benchNano(): Promise<NanoRow[]> {
  using model = await InfinityModel.load();
  const all = { prompt: PROMPTS, batchCount: SEEDS, seed: SEED };
  const exact = await model.generate({ ...all, trace: true });
  const wanted = deltas(exact);
  const forceBits = wanted.map((_, s) =>
    Uint8Array.from(exact.images.flatMap(({ bits }) => [...bits.scales[s]!]))
  );
  const cases = [
    ...CASES.map((flags) => ({ name: nameOf(flags), options: flags as SamplingOptions })),
    { name: "exact, other seeds", options: { seed: SEED + 1000 } },
  ];
  // interleaved, so that other load on the machine affects all cases alike
  const times = cases.map((): number[] => []);
  for (let i = 0; i < TIMED; i++) {
    for (const [c, { options }] of cases.entries()) {
      const one = { ...options, prompt: PROMPTS[0]! };
      times[c]!.push((await timed(() => model.generate(one))).cpu);
    }
  }
  const rows: NanoRow[] = [];
  for (const [c, { name, options }] of cases.entries()) {
    const { images } = await model.generate({ ...all, ...options });
    const forced = await model.generate({ ...all, ...options, forceBits, trace: true });
    const similar = images.map((image, i) => ssim(image, exact.images[i]!));
    rows.push({
      name,
      ssim: mean(similar),
      worst: Math.min(...similar),
      psnr: decibels(mean(images.map((image, i) => squaredError(image, exact.images[i]!)))),
      bits: sameBits(images, exact.images),
      forced: compare(deltas(forced), wanted).forced,
      milliseconds: median(times[c]!),
      teraflop: large({ ...options, seed: 0, cfgUntil: largeUntil(options.cfgUntil) }),
    });
  }
  return rows;
}

/** A model with the scales and guidance of the 2B, but 256 channels wide and one block deep; a token is a pixel. */
function narrow(): ModelConfig {
  const { vae, transformer, ...rest } = findPreset("2b").config as Record<string, object>;
  const mult = { encoder_ch_mult: [1], decoder_ch_mult: [1], patch_size: 1, base_ch: 32 };
  const width = { embed_dim: 256, num_heads: 2, ffn_hidden: 1024, depth: 1, block_chunks: 1 };
  const text = { text_channels: 256, text_attn_pool_heads: 2 };
  const { text_encoder: _, ...others } = rest;
  return parseConfig({
    ...others,
    name: "narrow 2B",
    image: { width: 64, height: 64 },
    vae: { ...vae, ...mult },
    transformer: { ...transformer, ...width, ...text },
  }, "narrow 2B");
}

async function benchLarge(): Promise<LargeRow[]> {
  using model = await InfinityModel.synthetic(narrow());
  const textFeatures = {
    features: Float32Array.from({ length: 16 * 256 }, (_, i) => Math.sin(i * i)),
    width: 256,
    lens: [16],
  };
  const rows: LargeRow[] = [];
  let exact: Result | undefined;
  for (const { fast, cfgUntil } of CASES.filter(({ fast }, i) => i === 0 || fast.length > 0)) {
    const until = largeUntil(cfgUntil);
    const forceBits = exact && [...exact.images[0]!.bits.scales];
    const options = { textFeatures, fast, cfgUntil: until, forceBits, trace: true };
    let result: Result | undefined;
    const took = await timed(async () => result = await model.generate(options));
    exact ??= result!;
    const name = nameOf({ fast, cfgUntil: until });
    rows.push({ name, seconds: took.cpu / 1000, ...compare(deltas(result!), deltas(exact)) });
  }
  return rows;
}

/** What approximations cost, and what they save. */
export interface Approximations {
  readonly nano: readonly NanoRow[];
  readonly large: readonly LargeRow[];
}

/** Measures `--cfg-until` and every {@link FastMode}. */
export async function benchApproximations(): Promise<Approximations> {
  return { nano: await benchNano(), large: await benchLarge() };
}

/** The tables of {@link benchApproximations}. */
export function approximationTables({ nano, large }: Approximations): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const [exact] = nano;
  const left = nano.map((row) => [
    row.name,
    row.ssim.toFixed(3),
    row.worst.toFixed(3),
    row.psnr === Infinity ? "equal" : row.psnr.toFixed(1),
    percent(row.bits),
    percent(row.forced),
    digits(row.milliseconds),
    row.teraflop.toFixed(1),
    `${(exact!.teraflop / row.teraflop).toFixed(2)}x`,
  ]);
  const right = large.map(({ name, seconds, error, forced }) => [
    name,
    digits(seconds),
    error.toExponential(1),
    percent(forced),
  ]);
  return `
Approximations, emoji-nano, ${PROMPTS.length} prompts x ${SEEDS} seeds, against the exact images.
bits: share that stays the same; forced: the same for the likelier values after the exact image's bits;
ms: CPU time of a warm image over the cores;
TFLOP: the 2B's transformer at 1024x1024, with --cfg-until ${
    LARGE.slice(1).toReversed().join(", ")
  } for 3, 2, 1

${
    table(
      ["", "SSIM", "worst", "PSNR", "bits", "forced", "ms", "TFLOP", ""],
      left,
    )
  }

The 2B's schedule for 1024x1024, 256 wide, one block, random weights: CPU time, error of the logits, forced as above

${table(["", "s", "error", "forced"], right)}
`;
}

if (import.meta.main) console.log(approximationTables(await benchApproximations()));
