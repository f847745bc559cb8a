/**
 * Reads the golden files: weights, inputs and outputs of the official PyTorch code.
 *
 * The tests read the packed copies in `tests/goldens/` (what is in them: `goldens/pack.ts`). If the
 * environment variable `BITWISE_GOLDENS` names a folder of the original files, those are read.
 *
 * @module
 */

import { bytesSource, Safetensors, safetensorsHeader, type TensorFile } from "../engine/mod.ts";

/** How a tensor is stored; see `split` in `goldens/pack.ts`. */
export type Coding = "f32" | "fixed" | "u8" | "bit";

/** A tensor of a packed file. */
export interface PackedTensor {
  name: string;
  dtype: "F32" | "I32" | "U8";
  shape: readonly number[];
  coding: Coding;
  /** Of `fixed`: the bits of a value, and what one unit stands for. */
  bits?: number;
  step?: number;
}

/** The header of a packed file. */
export interface PackHeader {
  // deno-lint-ignore no-explicit-any
  config: any;
  streams: { coding: Coding; deflated: boolean; bytes: number }[];
  tensors: PackedTensor[];
}

/** The values of a tensor. */
export interface GoldenTensor<T = Float32Array<ArrayBuffer>> {
  shape: readonly number[];
  data: T;
}

/** A golden file. */
export interface Golden {
  name: string;
  /** The JSON next to it. */
  // deno-lint-ignore no-explicit-any
  config: any;
  /** All tensors, as `Weights` loads them. */
  file: TensorFile;
  has(name: string): boolean;
  /** An F32 tensor, or, with the type given, `tensor<Uint8Array<ArrayBuffer>>(name)`, another. */
  tensor<
    T extends Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> =
      Float32Array<ArrayBuffer>,
  >(name: string): GoldenTensor<T>;
}

const cache = new Map<string, Promise<Golden>>();

/**
 * Reads a golden file, once per process.
 *
 * @param name Such as `"vae_d16"` (weights) or `"vae_d16.golden"` (inputs and outputs).
 */
export function golden(name: string): Promise<Golden> {
  let loading = cache.get(name);
  if (!loading) cache.set(name, loading = load(name));
  return loading;
}

/** Reads a JSON file of the goldens, such as `"dynamic_resolution"`. */
// deno-lint-ignore no-explicit-any
export async function goldenJson(name: string): Promise<any> {
  const folder = Deno.env.get("BITWISE_GOLDENS");
  const path = folder ? `${folder}/${name}.json` : new URL(`goldens/${name}.json`, import.meta.url);
  return JSON.parse(await Deno.readTextFile(path));
}

async function load(name: string): Promise<Golden> {
  const folder = Deno.env.get("BITWISE_GOLDENS");
  let file: TensorFile;
  let config: unknown;
  if (folder) {
    const bytes = await Deno.readFile(`${folder}/${name}.safetensors`);
    file = await Safetensors.open(bytesSource(name, bytes));
    config = await goldenJson(name);
  } else {
    const packed = await Deno.readFile(new URL(`goldens/${name}.pack`, import.meta.url));
    ({ file, config } = await unpack(name, packed));
  }
  const values = new Map<string, GoldenTensor<unknown>>();
  for (const tensor of file.tensors.values()) {
    values.set(tensor.name, { shape: tensor.shape, data: await file.read(tensor.name) });
  }
  return {
    name,
    config,
    file,
    has: (tensor) => values.has(tensor),
    tensor<T>(tensor: string) {
      const found = values.get(tensor);
      if (!found) throw new Error(`Golden file ${name} has no tensor ${tensor}`);
      return found as GoldenTensor<T>;
    },
  };
}

/** Rebuilds a Safetensors file in memory. */
async function unpack(
  name: string,
  packed: Uint8Array<ArrayBuffer>,
): Promise<{ file: TensorFile; config: unknown }> {
  const start = 4 + new DataView(packed.buffer).getUint32(0, true);
  const text = new TextDecoder().decode(packed.subarray(4, start));
  const { config, streams, tensors }: PackHeader = JSON.parse(text);
  const planes: Record<Coding, Uint8Array[]> = { f32: [], fixed: [], u8: [], bit: [] };
  let offset = start;
  for (const { coding, deflated, bytes } of streams) {
    const stream = packed.subarray(offset, offset += bytes);
    planes[coding].push(deflated ? await inflate(stream) : stream);
  }
  const parts = tensors.map((tensor) => decode(tensor, planes[tensor.coding]));
  // Wide types first, so that every tensor is aligned.
  const order = tensors.map((_, i) => i).sort((a, b) =>
    Number(tensors[a].dtype === "U8") - Number(tensors[b].dtype === "U8")
  );
  const entries = order.map((i) => tensors[i]);
  const body = [safetensorsHeader(entries), ...order.map((i) => parts[i])] as BlobPart[];
  const bytes = new Uint8Array(await new Blob(body).arrayBuffer());
  return { file: await Safetensors.open(bytesSource(name, bytes)), config };
}

/** Takes the next tensor off the streams of its coding. */
function decode(tensor: PackedTensor, streams: Uint8Array[]): Float32Array | Uint8Array {
  const { shape, coding, bits = 1, step = 1 } = tensor;
  const count = shape.reduce((product, size) => product * size, 1);
  const take = (stream: number, bytes: number) => {
    const taken = streams[stream].subarray(0, bytes);
    streams[stream] = streams[stream].subarray(bytes);
    return taken;
  };
  if (coding === "u8") return take(0, count);
  if (coding === "bit") return unpackBits(take(0, Math.ceil(count / 8)), 1, count, Uint8Array);
  if (coding === "f32") {
    const bytes = new Uint8Array(count * 4);
    for (const place of streams.keys()) {
      const plane = take(place, count);
      for (let i = 0; i < count; i++) bytes[i * 4 + place] = plane[i];
    }
    return bytes;
  }
  const high = take(0, count);
  const rest = bits - 8;
  const low = unpackBits(take(1, Math.ceil(count * rest / 8)), rest, count, Uint32Array);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = ((high[i] << 24 >> 24 << rest) + low[i]) * step;
  return values;
}

/** Values of `bits` bits each, at most 16, laid end to end from the lowest bit of each byte on. */
function unpackBits<T extends Uint8Array | Uint32Array>(
  packed: Uint8Array,
  bits: number,
  count: number,
  Values: new (length: number) => T,
): T {
  const values = new Values(count);
  const mask = 2 ** bits - 1;
  for (let i = 0, bit = 0; i < count; i++, bit += bits) {
    const at = bit >> 3;
    const window = packed[at] | packed[at + 1] << 8 | packed[at + 2] << 16;
    values[i] = window >> (bit & 7) & mask;
  }
  return values;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
