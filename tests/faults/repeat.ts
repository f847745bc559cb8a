/**
 * Does one thing again and again in a process of its own, and prints what it held: one line of JSON.
 *
 *     deno run -A --preload tests/backend.ts tests/faults/repeat.ts generate 50 150
 *
 * `generate` generates an image, `load` loads a model on the same device, and `open` on a device of its own.
 *
 * @module
 */

import { Device } from "../../engine/mod.ts";
import { InfinityModel } from "../../mod.ts";

/** What the process held. */
export interface Held {
  /** Images that differed from the first one. */
  readonly wrong: number;
  /** Different numbers of bytes that the engine held, in use and kept for reuse, after the warm-up. */
  readonly engine: readonly string[];
  /** The median of resident bytes during the warm-up, and after it. */
  readonly resident: readonly [number, number];
  /** Most bytes of V8's heap after the warm-up. */
  readonly heap: number;
}

const [what, warm, count] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const { gc } = globalThis as { gc?: () => void };

/** Collects garbage, if the process may (--v8-flags=--expose-gc), and what was freed by finalisers of the first time. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2 && gc; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The middle of `values`. */
function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const device = what === "open" ? undefined : await Device.open();
let model = what === "generate" ? await InfinityModel.load(undefined, { device }) : undefined;
let first: string | undefined;
let wrong = 0;
const engine = new Set<string>();
const resident: [number[], number[]] = [[], []];
let heap = 0;

for (let i = 0; i < warm + count; i++) {
  if (what !== "generate") {
    model?.dispose();
    model = await InfinityModel.load(undefined, { device });
  }
  const { images } = await model!.generate({ prompt: "red apple", seed: 7 });
  const bytes = images[0]!.rgba.join();
  first ??= bytes;
  if (bytes !== first) wrong++;
  await collect();
  const { rss, heapUsed } = Deno.memoryUsage();
  resident[i < warm ? 0 : 1].push(rss);
  if (i < warm) continue;
  const { liveBytes, pooledBytes } = model!.device.memory;
  engine.add(`${liveBytes} + ${pooledBytes}`);
  heap = Math.max(heap, heapUsed);
}
model?.dispose();
device?.dispose();
const held: Held = {
  wrong,
  engine: [...engine],
  resident: [median(resident[0]), median(resident[1])],
  heap,
};
console.log(JSON.stringify(held));
