/**
 * Files of bits: a safetensors file with one tensor `bits` U8 [⌈n/8⌉], the bits of all scales [rows, columns, d] one
 * after another, eight to a byte, the first in the highest bit (as `numpy.unpackbits` reads them). The header has the
 * rest.
 *
 * @module
 */

import {
  bytesSource,
  encodeSafetensors,
  InputError,
  quote,
  Safetensors,
  type TensorFile,
} from "../../engine/mod.ts";
import { bitCount, checkImageBits, type ImageBits, MAX_SIDE } from "./image_bits.ts";
import { describe } from "../config/check_value.ts";
import { gridText, scheduleText } from "../config/grid.ts";
import { parseSchedule } from "../config/schedule.ts";

/** Name of the format in the header. */
const FORMAT = "bitwise-bits-1";

/** Most bits in total: a small header can claim any number. */
const MAX_BITS = 2 ** 30;

/** Packs eight bits to a byte, the first in the highest bit; fills the last byte with zeros. */
export function packBits(scales: ImageBits["scales"]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(Math.ceil(bitCount({ scales }) / 8));
  let at = 0;
  for (const bits of scales) {
    for (const bit of bits) packed[at >> 3]! |= (bit & 1) << 7 - (at++ & 7);
  }
  return packed;
}

/**
 * Encodes an image's bits as a file: the packed bits and a header of about 250 bytes.
 *
 * @example
 * ```ts
 * import { encodeBitsFile, InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images: [apple] } = await model.generate({ prompt: "red apple" });
 * const file = encodeBitsFile(apple!.bits);
 * console.log(file.length);
 * ```
 *
 * @throws {InputError} `not-bits`, `bad-bits`.
 */
export function encodeBitsFile(bits: ImageBits): Uint8Array<ArrayBuffer> {
  checkImageBits(bits, "write");
  const data = packBits(bits.scales);
  return encodeSafetensors([{ name: "bits", dtype: "U8", shape: [data.length], data }], {
    format: FORMAT,
    d: `${bits.d}`,
    size: `${bits.width}x${bits.height}`,
    latent: gridText(bits.latent),
    schedule: scheduleText(bits.schedule),
    ...bits.model !== undefined && { model: bits.model },
  });
}

/**
 * Decodes a file made by {@link encodeBitsFile}.
 *
 * @example
 * ```ts
 * import { decodeBitsFile, encodeBitsFile, InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images: [apple] } = await model.generate({ prompt: "red apple" });
 * const bits = await decodeBitsFile(encodeBitsFile(apple!.bits));
 * const again = await model.decode(bits);
 * console.log(again.width);
 * ```
 *
 * @param name Name of the file in messages.
 * @throws {SafetensorsError} It is not a safetensors file.
 * @throws {InputError} `bad-bits`: it holds no bits, or its header contradicts them.
 */
export async function decodeBitsFile(
  bytes: Uint8Array<ArrayBuffer>,
  name?: string,
): Promise<ImageBits> {
  if (!(bytes instanceof Uint8Array) || !(name === undefined || typeof name === "string")) {
    throw new InputError(
      "bad-type",
      `Cannot read bits of ${describe(bytes)} named ${describe(name)}: give bytes and a string`,
    );
  }
  const bits = await readBits(await Safetensors.open(bytesSource(name ?? "bits", bytes)));
  return name === undefined ? bits : { ...bits, name };
}

/** Whether a file's header claims to hold an image's bits. */
export function holdsBits({ metadata }: Pick<TensorFile, "metadata">): boolean {
  return metadata.format === FORMAT;
}

/** {@link decodeBitsFile} of an open file. */
export async function readBits(file: TensorFile): Promise<ImageBits> {
  const refuse = (why: string, hint?: string): never => {
    throw new InputError("bad-bits", `Cannot read bits of ${quote(file.name)}: ${why}`, { hint });
  };
  const { metadata } = file;
  if (!holdsBits(file)) refuse("it is not a bits file", "encode-image");
  const read = <T>(key: string, parse: (text: string) => T | undefined): T => {
    const text = metadata[key];
    if (text === undefined) return refuse(`its header has no ${key}`);
    return parse(text) ?? refuse(`its header says ${key} ${quote(text)}`);
  };
  const grids = (text: string) => {
    try {
      return parseSchedule(text);
    } catch {
      return undefined;
    }
  };
  const d = read("d", (text) => /^[1-9]\d{0,3}$/.test(text) ? Number(text) : undefined);
  const schedule = read("schedule", grids);
  const latent = read("latent", (text) => {
    const found = grids(text);
    return found?.length === 1 ? found[0] : undefined;
  });
  const [width, height] = read("size", (text) => {
    const match = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text);
    const [across, down] = (match ?? []).slice(1).map(Number);
    return across && down && Math.max(across, down) <= MAX_SIDE ? [across, down] : undefined;
  });
  const sizes = schedule.map(([h, w]) => h * w * d);
  const count = sizes.reduce((sum, n) => sum + n, 0);
  if (count > MAX_BITS) refuse(`its header says ${count} bits, the limit is ${MAX_BITS}`);
  const info = file.tensors.get("bits");
  const bytes = Math.ceil(count / 8);
  if (info?.dtype !== "U8" || info.shape.length !== 1 || info.byteLength !== bytes) {
    const is = info ? `${info.dtype} [${info.shape.slice(0, 8)}]` : "missing";
    refuse(`tensor bits is ${is}, ${count} bits need U8 [${bytes}]`);
  }
  const packed = await file.read("bits");
  let at = 0;
  const scales = sizes.map((n) =>
    Uint8Array.from({ length: n }, () => Number(packed[at >> 3]) >> 7 - (at++ & 7) & 1)
  );
  const { model } = metadata;
  return { width, height, d, latent, schedule, scales, ...model !== undefined && { model } };
}
