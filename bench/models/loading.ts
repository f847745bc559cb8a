import { median } from "../measuring/measure.ts";
import { type Device, safetensorsHeader, type Tensor, type TensorEntry } from "../../engine/mod.ts";
import { Weights } from "../../model/checkpoint/weights.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";

/** The file that is loaded holds this many tensors, of the size of a 2B block's. */
const COUNT = 32;
const SHAPE = [2048, 2048] as const;
/** Bytes per read and write of the plain loop: the same as the engine's chunk. */
const CHUNK = 4 * 1024 * 1024;

/** Speed of loading a file, compared with a loop that only reads and writes its bytes. */
export interface LoadingRow {
  /** Dtype of the file, and what it becomes. */
  readonly what: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** GB of the file per second. */
  readonly rate: number;
  /** Time of the plain loop on the same file over the time of loading. */
  readonly ratio: number;
  /** Largest growth of the JavaScript heap in bytes, buffers outside it included. */
  readonly heap: number;
}

async function writeFile(path: string, dtype: "F32" | "F16"): Promise<number> {
  const entries: TensorEntry[] = Array.from(
    { length: COUNT },
    (_, i) => ({ name: `layer.${i}.weight`, dtype, shape: SHAPE }),
  );
  using file = await Deno.open(path, { create: true, write: true, truncate: true });
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  };
  await write(safetensorsHeader(entries));
  const size = SHAPE[0] * SHAPE[1] * (dtype === "F32" ? 4 : 2);
  const zeros = new Uint8Array(size);
  for (let i = 0; i < COUNT; i++) await write(zeros);
  return COUNT * size;
}

/** The best a loader can do: writes the file's bytes to the GPU unchanged. */
async function plainLoop(device: Device, path: string): Promise<void> {
  using file = await Deno.open(path);
  const size = (await file.stat()).size;
  const targets: Tensor[] = [];
  const bytes = new Uint8Array(CHUNK);
  for (let at = 0; at < size; at += CHUNK) {
    const target = device.tensor("u32", [CHUNK / 4]);
    targets.push(target);
    const n = await file.read(bytes) ?? 0;
    device.gpu.queue.writeBuffer(target.buffer, 0, bytes, 0, n - n % 4);
    device.gpu.queue.submit([]);
  }
  await device.finish();
  for (const target of targets) target.dispose();
}

async function timed(samples: number, run: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i <= samples; i++) {
    const began = performance.now();
    await run();
    if (i > 0) times.push((performance.now() - began) / 1000); // the first run warms the file cache
  }
  return median(times);
}

/**
 * Loads tensors unchanged, and packed as linear layers, from F32 and F16 files: as f32, and on a GPU packed as f16.
 */
export async function benchLoading(device: Device): Promise<LoadingRow[]> {
  const { class: adapter, f16 } = device.capabilities;
  const half = adapter === "gpu" && f16 ? [["f16", true]] as const : [];
  const rows: LoadingRow[] = [];
  for (const dtype of ["F32", "F16"] as const) {
    const path = await Deno.makeTempFile({ suffix: ".safetensors" });
    try {
      const bytes = await writeFile(path, dtype);
      const plain = await timed(3, () => plainLoop(device, path));
      for (const [type, packed] of [["f32", false], ["f32", true], ...half] as const) {
        const before = memory();
        let heap = 0;
        const took = await timed(3, async () => {
          const file = await openTensorFile(path);
          const weights = new Weights(device, file, type);
          for (const name of file.tensors.keys()) {
            if (packed) await weights.linear(name, SHAPE);
            else await weights.tensor(name, SHAPE);
            heap = Math.max(heap, memory() - before);
          }
          await device.finish();
          weights.dispose();
          file.close();
        });
        const what = `${dtype} to ${type}${packed ? ", packed for matmul" : ""}`;
        rows.push({ what, bytes, rate: bytes / took / 1e9, ratio: plain / took, heap });
      }
    } finally {
      await Deno.remove(path);
    }
  }
  device.trim();
  return rows;
}

function memory(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}
