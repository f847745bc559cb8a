/** Animated PNG files: png.ts compresses the frames, this file writes the chunks that time them. */

import { Buffer } from "node:buffer";
import { InputError } from "../../engine/mod.ts";
import { describe, isWhole } from "../config/check_value.ts";
import { checkShape, isOpaque } from "./base/shape.ts";
import { assemble, type Image, pack, RGB, RGBA } from "./png.ts";
import { chunk } from "./png/chunks.ts";

/** The number of plays that means endless. */
const ENDLESS = 0;

/**
 * Encodes 8-bit RGBA frames as an animated PNG that plays endlessly.
 *
 * Stores every frame in full, as RGB if all pixels of all frames are opaque. Stores the last frame
 * once more as the default image, which is not part of the animation: viewers without animation,
 * such as `decodePng()`, show the finished image. Source: the chunks acTL, fcTL and fdAT of the PNG
 * Specification, third edition, "Animation information".
 *
 * @param frames One or more images of one size.
 * @param delays How long to show each frame: whole milliseconds, 65535 at most.
 * @param text Text by keyword, written as by `encodePng()`.
 * @returns The bytes of the file.
 *
 * @example
 * ```ts
 * import { encodeApng } from "@bitwise/infinity";
 *
 * const dot = (red: number) => ({ width: 1, height: 1, rgba: new Uint8Array([red, 0, 0, 255]) });
 * const file = encodeApng([dot(0), dot(255)], [500, 1000], { parameters: "a blinking dot" });
 * ```
 *
 * @throws {InputError} No frame is given, sizes differ, or a delay cannot be stored.
 */
export function encodeApng(
  frames: readonly Image[],
  delays: readonly number[],
  text: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  checkFrames(frames, delays);
  const colorType = frames.every(({ rgba }) => isOpaque(rgba)) ? RGB : RGBA;
  const packed = frames.map((frame) => pack(frame, colorType));
  let sequence = 0; // fcTL and fdAT share one count
  const body = packed.flatMap(({ pixels }, i) => [
    frameControl(sequence++, frames[i]!, delays[i]!),
    chunk("fdAT", Buffer.concat([words(sequence++), pixels])),
  ]);
  const animation = chunk("acTL", words(frames.length, ENDLESS));
  // Without an fcTL before it, IDAT is not a frame: only readers without animation show it.
  const still = chunk("IDAT", packed.at(-1)!.pixels);
  return assemble(packed[0]!.header, [animation, still, ...body], text);
}

function checkFrames(frames: readonly Image[], delays: readonly number[]): void {
  if (!Array.isArray(frames) || frames.length === 0) {
    throw refusal("no-frames", "it takes a list of at least one frame");
  }
  if (!Array.isArray(delays) || delays.length !== frames.length) {
    const count = Array.isArray(delays) ? delays.length : describe(delays);
    throw refusal("delay-count", `it takes one delay per frame, got ${count} for ${frames.length}`);
  }
  const first: Image = frames[0];
  for (const [i, frame] of (frames as Image[]).entries()) {
    checkShape("encode", frame, "rgba");
    const { width, height } = frame;
    if (width === first.width && height === first.height) continue;
    const reason = `frame ${i} is ${width}x${height}, the first is ${first.width}x${first.height}`;
    throw refusal("frame-size", reason);
  }
  for (const delay of delays) {
    if (isWhole(delay, 0, 0xffff)) continue;
    throw refusal("delay", `a delay is 0 to 65535 whole milliseconds, got ${describe(delay)}`);
  }
}

function refusal(code: string, reason: string): InputError {
  return new InputError(code, `Cannot encode an animated PNG: ${reason}`);
}

/** Returns the fcTL chunk of a full frame that replaces the one before it. */
function frameControl(sequence: number, { width, height }: Image, delay: number): Buffer {
  const [left, top, dispose, blend] = [0, 0, 0, 0];
  const seconds = Buffer.alloc(4);
  seconds.writeUInt16BE(delay, 0);
  seconds.writeUInt16BE(1000, 2);
  const region = words(sequence, width, height, left, top);
  return chunk("fcTL", Buffer.concat([region, seconds, Buffer.from([dispose, blend])]));
}

/** Encodes numbers as 32 bits, big-endian. */
function words(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => out.writeUInt32BE(value, i * 4));
  return out;
}
