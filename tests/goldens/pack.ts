/**
 * Packs the golden files into this folder, so that a clone has all that the tests need:
 *
 *     deno run -A tests/goldens/pack.ts FOLDER
 *
 * The originals have 52 MB, most of them random weights, which do not compress. Therefore:
 *
 * - Weight matrices and convolutions are rounded to fixed point, of 17 to 22 bits (`WEIGHT_BITS`):
 *   more where an error grows, as before cosine attention, whose scales go up to 100. In f64, that
 *   moves logits of up to 8 by 1e-4 at most, T5's output by 2e-5 and decoded images by 2e-5
 *   (relative Frobenius errors of 8e-6, 8e-6 and 4e-6); f32 in place of f64 moves them by 2e-5,
 *   2e-6 and 1e-5. Vectors (biases, norms) are exact. To read the originals instead:
 *   `BITWISE_GOLDENS=FOLDER deno test -A`.
 * - Large results are rounded: logits and activations to 5e-7 of their largest value, images to 4e-6,
 *   which is less than the order of f32 sums changes. Inputs, tables, codes and bits are exact, except
 *   for the features that `bsq_only` quantises: 20 bits move them by 2e-6 at most, a fifth of the
 *   smallest margin.
 * - Left out are buffers that hold constants, and what no test reads: sums and inputs between the
 *   quantiser's scales, its largest features of 24 and 64 bits, repeated intermediates, and the second
 *   image of transformer_tiny. T5's output is set to zero after the mask, where it has no meaning.
 *
 * A `.pack` file is a 4-byte little-endian length, a JSON header (`PackHeader` in `../goldens.ts`)
 * and streams, each stored or deflated, whichever is shorter. The tensors of one coding are laid
 * end to end and split into streams by significance, because only the high bytes compress.
 *
 * @module
 */

import { constants, deflateRawSync } from "node:zlib";
import { bytesSource, Safetensors } from "../../engine/mod.ts";
import type { Coding, PackedTensor, PackHeader } from "../goldens.ts";

const WEIGHTS = ["t5_tiny", "transformer_tiny", "transformer_patchify", "vae_d16", "vae_patchify"];

/** What is left out of each file, besides I64 buffers. */
const DROPPED: Record<string, RegExp> = {
  "t5_tiny": /^$/,
  "t5_tiny.golden": /^layer1\.|^layer2\.after_attn/,
  "transformer_tiny": /zero_k_bias$/,
  "transformer_tiny.golden": /^ar2\.img_float$|^ar3\.step\d\.block|^ar\d\.step\d\.block0/,
  "transformer_rope_variants.golden": /^$/,
  "transformer_patchify": /zero_k_bias$/,
  "transformer_patchify.golden": /^$/,
  "vae_d16": /^$/,
  "vae_d16.golden":
    /\.(cum\d|var_input\d|bsc_x)$|\.dbg\.enc\.|\.dec\.(up1\.upsample|norm_out)/,
  "vae_patchify": /^$/,
  "vae_patchify.golden":
    /\.(cum\d|var_input\d|bsc_x)$|\.dbg\.enc\.|\.dec\.(up1\.upsample|norm_out)/,
  "bsq_only": /^d(24|64)\.sq1M\.x$|\.(var_input\d+(\.first4ch)?|bsc_x(\.first4ch)?)$/,
  "sampling": /^$/,
  "interp": /^$/,
  "loss": /^drop\.logits$|^trunc\.logits$/,
  "bsc": /^$/,
  "vae_train": /^recon$/,
};

/** Tensors of which only the first four channels are kept, under the name that the originals use for these. */
const FIRST_CHANNELS = /^d(24|32|64)\.ns025\.z$|^d16\.sq1M\.z$/;

/** The number of bits that a weight matrix is rounded to: the first pattern that matches counts. */
const WEIGHT_BITS: readonly [RegExp, number][] = [
  [/^(word_embed|head|text_proj_for_sos|cfg_uncond)\b/, 22],
  [/\.sa\.mat_qkv|\.sa\.proj/, 21],
  [/\.0\.module\.0\.ca\.(mat_kv|proj)/, 18],
  [/\.ca\.|^head_nm\./, 17],
  [/^decoder\./, 22],
  [/^(encoder|shared)\./, 20],
  [/^/, 18],
];

/** The same for results. */
const RESULT_BITS: readonly [RegExp, number][] = [
  [/\.(img_float|dec_raw|recon|dfi_recon)$/, 18],
  [/^d\d+\.(sq1M|ns025)\.x$/, 20],
  [/logits$|^last_hidden_state$|_out(\.|$)|\.dbg\.|\.out\.|\.after_attn/, 21],
];

/** Smaller tensors stay exact. */
const SMALL = 4096;

interface Kept extends PackedTensor {
  /** The values; for `fixed`, the integers as i32. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** Chooses what is kept of a tensor, and how. */
function keep(
  file: string,
  name: string,
  dtype: string,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): Kept | undefined {
  if (dtype === "I64" || DROPPED[file].test(name)) return undefined;
  if (dtype === "U8") {
    const coding = bytes.every((value) => value <= 1) ? "bit" : "u8";
    return { name, dtype, shape, coding, bytes };
  }
  if (dtype === "I32") return { name, dtype, shape, coding: "f32", bytes };
  if (dtype !== "F32") throw new Error(`${file}: ${name} is of an unexpected type, ${dtype}`);
  if (FIRST_CHANNELS.test(name)) {
    const few = [1, 4, ...shape.slice(2)];
    const part = bytes.subarray(0, few.reduce((product, size) => product * size) * 4);
    return { name: `${name}.first4ch`, dtype, shape: few, coding: "f32", bytes: part };
  }
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const rules = WEIGHTS.includes(file) ? WEIGHT_BITS : RESULT_BITS;
  const bits = rules.find(([pattern]) => pattern.test(name))?.[1];
  if (bits === undefined || values.length < SMALL || shape.length < 2) {
    return { name, dtype, shape, coding: "f32", bytes };
  }
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const step = Math.fround(largest / (2 ** (bits - 1) - 1));
  const whole = Int32Array.from(values, (value) => {
    return Math.max(-(2 ** (bits - 1)), Math.min(2 ** (bits - 1) - 1, Math.round(value / step)));
  });
  return { name, dtype, shape, coding: "fixed", bits, step, bytes: new Uint8Array(whole.buffer) };
}

/** Zeros the rows of T5's output after the mask, which nothing reads: zeros pack better. */
function blankPadding(hidden: Float32Array, lengths: readonly number[], width: number): void {
  const rows = hidden.length / lengths.length / width;
  for (const [image, length] of lengths.entries()) {
    hidden.fill(0, (image * rows + length) * width, (image + 1) * rows * width);
  }
}

/** Returns every `stride`-th byte, from `first` on. */
function plane(bytes: Uint8Array, stride: number, first: number): Uint8Array {
  return Uint8Array.from({ length: bytes.length / stride }, (_, i) => bytes[i * stride + first]);
}

/** Packs the `bits` low bits of each value, filling each byte from its lowest bit. */
function packBits(values: ArrayLike<number>, bits: number): Uint8Array {
  const packed = new Uint8Array(Math.ceil(values.length * bits / 8));
  for (let i = 0; i < values.length * bits; i++) {
    packed[i >> 3] |= (values[Math.floor(i / bits)] >> (i % bits) & 1) << (i & 7);
  }
  return packed;
}

/** Splits the values of all tensors of one coding into streams; `decode` in `../goldens.ts` undoes it. */
function split(coding: Coding, tensors: readonly Kept[]): Uint8Array[] {
  const all = concat(tensors.map(({ bytes }) => bytes));
  if (coding === "u8") return [all];
  if (coding === "bit") return [concat(tensors.map(({ bytes }) => packBits(bytes, 1)))];
  if (coding === "f32") return [0, 1, 2, 3].map((first) => plane(all, 4, first));
  const low = tensors.map(({ bytes, bits }) => packBits(new Int32Array(bytes.buffer), bits! - 8));
  const high = tensors.map(({ bytes, bits }) =>
    Uint8Array.from(new Int32Array(bytes.buffer), (value) => value >> (bits! - 8))
  );
  return [concat(high), concat(low)];
}

/** Returns the shortest form of a stream: as it is, with Huffman codes only, or fully deflated. */
function shortest(stream: Uint8Array): { deflated: boolean; bytes: Uint8Array } {
  const strategies = [constants.Z_DEFAULT_STRATEGY, constants.Z_HUFFMAN_ONLY];
  const options = strategies.map((strategy) => deflateRawSync(stream, { level: 9, strategy }));
  const best = options[0].length <= options[1].length ? options[0] : options[1];
  return best.length < stream.length
    ? { deflated: true, bytes: best }
    : { deflated: false, bytes: stream };
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

async function pack(folder: string, file: string): Promise<Uint8Array> {
  const original = await Deno.readFile(`${folder}/${file}.safetensors`);
  const source = await Safetensors.open(bytesSource(file, original));
  const config = JSON.parse(await Deno.readTextFile(`${folder}/${file}.json`));
  const kept: Kept[] = [];
  for (const { name, dtype, shape } of source.tensors.values()) {
    const data = await source.read(name);
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    if (name === "last_hidden_state") {
      blankPadding(new Float32Array(bytes.buffer), config.lens, config.d_model);
    }
    const tensor = keep(file, name, dtype, shape, bytes);
    if (tensor) kept.push(tensor);
  }
  const streams: PackHeader["streams"] = [];
  const bodies: Uint8Array[] = [];
  for (const coding of ["f32", "fixed", "u8", "bit"] as const) {
    const members = kept.filter((tensor) => tensor.coding === coding);
    if (members.length === 0) continue;
    for (const stream of split(coding, members)) {
      const { deflated, bytes } = shortest(stream);
      streams.push({ coding, deflated, bytes: bytes.length });
      bodies.push(bytes);
    }
  }
  const tensors = kept.map(({ bytes: _, ...tensor }): PackedTensor => tensor);
  const header = new TextEncoder().encode(JSON.stringify({ config, streams, tensors }));
  return concat([new Uint8Array(new Uint32Array([header.length]).buffer), header, ...bodies]);
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) throw new Error("Usage: deno run -A tests/goldens/pack.ts FOLDER");
  let total = 0;
  for (const file of Object.keys(DROPPED)) {
    const packed = await pack(folder, file);
    await Deno.writeFile(new URL(`${file}.pack`, import.meta.url), packed);
    console.log(`${String(packed.length).padStart(9)}  ${file}`);
    total += packed.length;
  }
  const table = await Deno.readTextFile(`${folder}/dynamic_resolution.json`);
  await Deno.writeTextFile(new URL("dynamic_resolution.json", import.meta.url), table);
  console.log(`${String(total + table.length).padStart(9)}  together`);
}
