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
  /** Most resident bytes during the warm-up, and after it. */
  readonly resident: readonly [number, number];
  /** Most bytes of V8's heap after the warm-up. */
  readonly heap: number;
}

const [what, warm, count] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
/** Collects garbage, if the process may: with --v8-flags=--expose-gc. */
const { gc } = globalThis as { gc?: () => void };

const device = what === "open" ? undefined : await Device.open();
let model = what === "generate" ? await InfinityModel.load(undefined, { device }) : undefined;
let first: string | undefined;
let wrong = 0;
const engine = new Set<string>();
const resident: [number, number] = [0, 0];
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
  if (gc && (warm + count - 1 - i) % 5) continue;
  gc?.();
  const { rss, heapUsed } = Deno.memoryUsage();
  const phase = i < warm ? 0 : 1;
  resident[phase] = Math.max(resident[phase], rss);
  if (phase === 0) continue;
  const { liveBytes, pooledBytes } = model!.device.memory;
  engine.add(`${liveBytes} + ${pooledBytes}`);
  heap = Math.max(heap, heapUsed);
}
model?.dispose();
device?.dispose();
const held: Held = { wrong, engine: [...engine], resident, heap };
console.log(JSON.stringify(held));
