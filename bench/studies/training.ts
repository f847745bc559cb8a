/** What studies that train have in common: small trainings on emoji, and how their models are measured. */

import { fromFileUrl, join } from "../../deps/@std/path.ts";
import type { Device, Tensor } from "../../engine/mod.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { quantiseBits } from "../../kernels/bits/quantise_bits.ts";
import { openFolder } from "../../model/checkpoint/folder.ts";
import type { ImageBits } from "../../model/bits/image_bits.ts";
import type { GeneratedImage } from "../../model/generate/images.ts";
import { Draws, STREAMS } from "../../model/training/data/base/draws.ts";
import { scheduleForSize, vaeSchedule } from "../../model/config/schedule.ts";
import { psnr } from "../../model/image/metrics.ts";
import { encodePng, type Image } from "../../model/image/png.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { FolderSource } from "../../model/parts/parts.ts";
import { parseTrainFile, resolveTrainConfig } from "../../model/training/config/train_config.ts";
import type { Stage, TrainConfig } from "../../model/training/config/types.ts";
import { openData } from "../../model/training/data/open_data.ts";
import { SheetSource } from "../../model/training/data/files/sheet.ts";
import { readLog } from "../../model/training/report/log.ts";
import { train } from "../../model/training/stages/train.ts";
import { VaeEncoder } from "../../model/vae/vae_encoder.ts";
import { mean } from "../measuring/measure.ts";
import { bytesOf, rgbaOf, valuesOf } from "../measuring/pixels.ts";
import { frechet } from "./frechet.ts";
import { type Effort, scaled } from "./study.ts";

export const ASSETS: string = fromFileUrl(new URL("../../assets/", import.meta.url));

/** The scales of emoji-nano. */
const SCHEDULE = [[1, 1, 1], [1, 2, 2], [1, 3, 3], [1, 4, 4]];

/** Images that are reconstructed, of the 49 that no training sees. */
const UNSEEN = 48;

/** What differs between the models of a study. */
export interface Small {
  /** Pixels across and down, which become 4x4 tokens; 32 if absent. */
  readonly side?: 16 | 32;
  /** Bits of a token; 32 if absent. */
  readonly d?: number;
  /** Width and number of blocks of the transformer; 128 and 4 if absent. */
  readonly width?: number;
  readonly depth?: number;
  /** Keys of the stages in CONFIG.json. */
  readonly tokenizer?: object;
  readonly transformer?: object;
  /** Keys of the text encoder in CONFIG.json. */
  readonly text?: object;
  /** Path of a tokenizer.json for prompts; emoji-nano's if absent. */
  readonly words?: string;
  /** Folder of images; all emoji if absent. */
  readonly folder?: string;
}

/** Writes emoji and their names as a folder, few enough to be learnt by heart, and returns its path. */
export async function memorisable(device: Device, count: number, effort: Effort): Promise<string> {
  const path = join(effort.folder, "data");
  await Deno.mkdir(path);
  const data = await SheetSource.open(device, `${ASSETS}training/emoji`, {
    size: { width: 32, height: 32 },
    seed: 1n,
    which: "training",
    mirror: 0,
  });
  const { images, captions } = await data.batch(0, count);
  const pixels = await device.read(images);
  for (const [i, caption] of captions.entries()) {
    const size = pixels.length / count;
    const rgba = rgbaOf(pixels.subarray(i * size, (i + 1) * size));
    await Deno.writeFile(join(path, `${i}.png`), encodePng(rgba, 32, 32));
    await Deno.writeTextFile(join(path, `${i}.txt`), caption);
  }
  for (const one of [images, data]) one.dispose();
  return path;
}

/** The configuration of a small training. */
export async function small(options: Small, effort: Effort): Promise<TrainConfig> {
  const { side = 32, d = 32, width = 128, depth = 4, folder } = options;
  // each level but the first halves the image
  const ch_mult = side === 16 ? [1, 1, 2] : [1, 1, 2, 2];
  const steps = scaled(400, effort);
  const json = {
    model: {
      name: `emoji-${d}-${width}`,
      image: { width: side, height: side },
      vae: {
        base_ch: 32,
        encoder_ch_mult: ch_mult,
        decoder_ch_mult: ch_mult,
        num_res_blocks: 1,
        patch_size: side / 4,
        codebook_dim: d,
        z_channels: d,
      },
      scale_schedule: SCHEDULE,
      transformer: {
        embed_dim: width,
        depth,
        num_heads: Math.max(1, width / 64),
        ffn_hidden: 4 * width,
        block_chunks: depth,
        text_channels: 128,
        text_maxlen: 32,
        text_attn_pool_heads: Math.max(1, width / 64),
        d_vae: d,
        lvl_embed_rows: 15,
        rope: { rope2d_normalized_by_hw: 2, base: 10000 },
      },
      text_encoder: {
        vocab_size: 3144,
        d_model: 128,
        num_layers: 1,
        num_heads: 2,
        d_kv: 64,
        d_ff: 256,
        ...options.text,
      },
      tokenizer: { max_length: 32, pad_id: 0, eos_id: 1 },
      defaults: { cfg: 1, tau: 0.5, top_k: 0, top_p: 0 },
    },
    words: options.words ?? `${ASSETS}models/emoji-nano/tokenizer.json`,
    data: folder
      ? { kind: "folder", path: folder }
      : { kind: "sheet", path: `${ASSETS}training/emoji` },
    tokenizer: { steps, batch: 16, warmup: 20, ...options.tokenizer },
    transformer: { steps, batch: 32, warmup: 20, ...options.transformer },
    report_every: 10,
    sample_every: 0,
    checkpoint_every: 1_000_000,
  };
  return await resolveTrainConfig(parseTrainFile(json, "study"), ASSETS, "study");
}

/** Trains stages into a folder; the last report of each, and the mean of the last tenth. */
export async function trained(
  config: TrainConfig,
  stages: readonly Stage[],
  name: string,
  { folder, say }: Effort,
): Promise<string> {
  const output = join(folder, name);
  for (const stage of stages) {
    const { seconds, step, loss } = await train(config, stage, { output });
    say(`${name}: ${stage}, ${step} steps in ${seconds.toFixed(0)} s, loss ${loss?.toFixed(4)}`);
  }
  return output;
}

/** Copies the tokenizer that one training made to where another begins. */
export async function shareTokenizer(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await Deno.writeFile(join(to, "log.jsonl"), new Uint8Array());
  await Deno.copyFile(join(from, "vae.safetensors"), join(to, "vae.safetensors"));
}

/** The mean of the last reports of a stage. */
export async function lastReports(output: string, stage: Stage) {
  const all = (await readLog(join(output, "log.jsonl"))).filter((line) => line.stage === stage);
  const some = all.slice(-Math.max(1, Math.ceil(all.length / 5)));
  const mean = (of: (line: (typeof some)[number]) => number) =>
    some.reduce((sum, line) => sum + of(line), 0) / some.length;
  return {
    loss: mean(({ loss }) => loss),
    psnr: mean(({ psnr = NaN }) => psnr),
    bits: mean(({ bit_accuracy = [NaN] }) =>
      bit_accuracy.reduce((sum, share) => sum + share, 0) / bit_accuracy.length
    ),
  };
}

/** Square images [B, size, size, 3] f32 from −1 to 1 as bytes. */
async function readImages(device: Device, images: Tensor, size: number): Promise<Image[]> {
  return bytesOf({ values: await device.read(images) as Float32Array, size });
}

/** PSNR of reconstructions of images that no training saw, in dB. */
export async function reconstructed(
  device: Device,
  { model, data: { kind, path } }: TrainConfig,
  output: string,
): Promise<number> {
  const source = await openData(device, { kind, path, sizes: [model.image], which: "measuring" });
  const { images } = await source.batch(0, UNSEEN);
  const truths = await readImages(device, images, model.image.width);
  for (const one of [images, source]) one.dispose();
  using sampler = await InfinityModel.load(output, { device });
  const each: number[] = [];
  for (const image of truths) {
    each.push(psnr(await sampler.decode(await sampler.encode(image)), image));
  }
  return mean(each);
}

/** What free-running samples are like, beside the images that their prompts stand for. */
export interface Sampled {
  /** PSNR of samples to the true images, in dB. */
  readonly psnr: number;
  /** Distance of their features from those of the true images, relative to the length of the latter. */
  readonly distance: number;
  /** Fréchet distance between both sets of mean features. */
  readonly frechet: number;
  /** For each scale, the share of bits that are those which the true image asks for after what was drawn before. */
  readonly mending: readonly number[];
}

/** Scales whose bits are given wrong, see {@link sampled}. */
const GIVEN = 2;

/**
 * Generates images of training captions, and measures them.
 *
 * @param wrong Share of bits of the first two scales that are given to the model, but wrong; 0 lets it draw all.
 */
export async function sampled(
  device: Device,
  config: TrainConfig,
  output: string,
  count: number,
  wrong: number = 0,
): Promise<Sampled> {
  const { model } = config;
  const data = await openData(device, {
    kind: config.data.kind,
    path: config.data.path,
    sizes: [model.image],
    seed: BigInt(config.seed),
  });
  const { images, captions } = await data.batch(0, count);
  const source = new FolderSource(openFolder(output), model, device, "f32");
  const encoder = await source.open("vae_encoder", (w) => VaeEncoder.load(w, model.vae));
  using sampler = await InfinityModel.load(output, { device });
  const truths = await readImages(device, images, model.image.width);
  const made: GeneratedImage[] = [];
  if (wrong === 0) {
    made.push(...(await sampler.generate({ prompt: captions, seed: 1 })).images);
  }
  for (const [i, prompt] of wrong > 0 ? captions.entries() : []) {
    const init = withMistakes(await sampler.encode(truths[i]!), wrong, i);
    made.push(...(await sampler.generate({ prompt, init, keepScales: GIVEN, seed: i })).images);
  }
  const pixels = valuesOf(made).values;
  using samples = device.from("f32", images.shape, pixels);
  using h = encoder.encode(images);
  using g = encoder.encode(samples);
  const [a, b] = (await device.readAll([h, g])) as [Float32Array, Float32Array];
  const schedule = vaeSchedule(model, scheduleForSize(model));
  const mending = await mended(device, h, made.map(({ bits }) => bits.scales), schedule);
  for (const one of [images, encoder, data]) one.dispose();
  const d = model.vae.codebook_dim;
  return {
    psnr: mean(made.map((image, i) => psnr(image, truths[i]!))),
    distance: Math.sqrt(squares(a, b) / squares(a)),
    frechet: frechet(means(a, count, d), means(b, count, d), d),
    mending,
  };
}

/** Flips a share of the bits of the first scales. */
function withMistakes(bits: ImageBits, wrong: number, image: number): ImageBits {
  const scales = bits.scales.map((scale, s) => {
    if (s >= GIVEN) return scale;
    const draws = new Draws(7n, STREAMS.scales, s, image);
    return scale.map((bit) => draws.odds(wrong) ? 1 - bit : bit);
  });
  return { ...bits, scales };
}

function squares(a: Float32Array, b?: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - (b?.[i] ?? 0)) ** 2, 0);
}

/** Mean features of each image, [count, d]. */
function means(features: Float32Array, count: number, d: number): Float64Array[] {
  const each = features.length / count;
  return Array.from({ length: count }, (_, i) => {
    const sum = new Float64Array(d);
    for (let k = 0; k < each; k++) sum[k % d]! += features[i * each + k]! * d / each;
    return sum;
  });
}

/** For each scale, the share of drawn bits that the true features ask for after the drawn codes before. */
async function mended(
  device: Device,
  features: Tensor,
  drawn: readonly (readonly ArrayLike<number>[])[],
  schedule: readonly (readonly [number, number])[],
): Promise<number[]> {
  const [B = 0, , , d = 0] = features.shape;
  using residual = device.tensor("f32", features.shape);
  device.copy(features, residual);
  const shares: number[] = [];
  for (const [s, [height, width]] of schedule.entries()) {
    using wanted = device.tensor("u32", [B, height * width, d]);
    quantiseBits(device, { x: residual, bits: wanted, height, width });
    const own = Uint32Array.from(drawn.flatMap((scales) => Array.from(scales[s]!)));
    using bits = device.from("u32", [B, height * width, d], own);
    const read = await device.read(wanted);
    shares.push(mean(Array.from(own, (bit, i) => bit === read[i] ? 1 : 0)));
    const less = { sum: residual, first: false, subtract: true, patchify: false };
    accumulateCodes(device, { bits, height, width, ...less });
  }
  return shares;
}
