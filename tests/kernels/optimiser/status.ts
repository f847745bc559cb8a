import type { Tensor } from "../../../engine/mod.ts";
import { STATUS, STATUS_WORDS } from "../../../kernels/optimiser/status.ts";
import { device } from "../harness.ts";

/** Words of a status that are floats. */
const FLOATS = ["FACTOR", "CORRECTION1", "CORRECTION2", "EMA_REST"];

/** Makes a status of zeros, but for some entries. */
export function makeStatus(entries: Partial<Record<keyof typeof STATUS, number>> = {}): Tensor {
  const words = new Uint32Array(STATUS_WORDS);
  const floats = new Float32Array(words.buffer);
  for (const [name, value] of Object.entries(entries)) {
    (FLOATS.includes(name) ? floats : words)[STATUS[name as keyof typeof STATUS]] = value;
  }
  return device.from("u32", [STATUS_WORDS], words);
}

/** Reads a status. */
export async function readStatus(status: Tensor): Promise<Record<keyof typeof STATUS, number>> {
  const words = await device.read(status) as Uint32Array<ArrayBuffer>;
  const floats = new Float32Array(words.buffer);
  return Object.fromEntries(
    Object.entries(STATUS).map((
      [name, at],
    ) => [name, (FLOATS.includes(name) ? floats : words)[at]]),
  ) as Record<keyof typeof STATUS, number>;
}
