/**
 * Guards around tensors: what a kernel reads or writes beyond them shows.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  type Device,
  ELEMENT_BYTES,
  elementCount,
  type MemoryRole,
  Tensor,
  type TensorDType,
} from "../../engine/mod.ts";

/** Bytes before and after a tensor; a multiple of every alignment of bindings. */
const GUARD = 4096;
/** Fill guards and new tensors: NaN as f32 and f16. Each tensor has its own, so that one's NaN shows in another's guard. */
const POISONS = { first: 0xffff, count: 64 } as const;

/** How {@link guard} binds tensors. */
export interface GuardOptions {
  /**
   * Whether bindings end with the tensor, as in production. Otherwise they hold the guard after it, too: where the
   * implementation checks bounds, it would hide what a kernel reads and writes beyond the tensor.
   */
  readonly exact?: boolean;
}

/** A buffer with a tensor between two guards. */
interface Guarded {
  readonly name: string;
  readonly buffer: GPUBuffer;
  /** What fills its guards, in each 16 bits. */
  readonly poison: number;
  /** Where the guard after it begins: a tensor owns whole vec4s. */
  readonly end: number;
}

/** What {@link guard} made, by device. */
const all = new Map<Device, Map<GPUBuffer, Guarded>>();
/** Buffers that were there before the test: those of the file, which later tests use. */
let earlier = new Set<GPUBuffer>();

/**
 * Puts guards of NaN around each tensor that `device` makes from now on, also inside launchers, and fills the tensor
 * itself with NaN. After each test, {@link checkGuards} asserts that they are unchanged, and frees the buffers.
 */
export function guard(device: Device, { exact = false }: GuardOptions = {}): Device {
  const { gpu, memory } = device;
  const buffers = new Map<GPUBuffer, Guarded>();
  all.set(device, buffers);
  const plain = device.tensor.bind(device);
  device.tensor = (
    dtype: TensorDType,
    shape: readonly number[],
    label: string = "tensor",
    role: MemoryRole = "workspace",
  ) => {
    const bytes = elementCount(shape) * ELEMENT_BYTES[dtype];
    const inside = Math.max(16, Math.ceil(bytes / 16) * 16);
    const size = inside + 2 * GUARD;
    if (size > gpu.limits.maxStorageBufferBindingSize) return plain(dtype, shape, label, role);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    // a buffer of its own, filled before any work: a pooled one may be in use by what is recorded
    const buffer = gpu.createBuffer({ label, size, usage, mappedAtCreation: true });
    const poison = POISONS.first - buffers.size % POISONS.count;
    new Uint16Array(buffer.getMappedRange()).fill(poison);
    buffer.unmap();
    buffers.set(buffer, {
      name: `${label} ${dtype} [${shape}]`,
      buffer,
      poison,
      end: GUARD + inside,
    });
    memory.count(inside, role);
    const release = () => memory.count(-inside, role);
    const end = exact ? GUARD + inside : size; // of what kernels bind
    return new Tensor(dtype, shape, { buffer, end, release }, GUARD);
  };
  return device;
}

/** Asserts that nothing was written to guards, and frees the buffers that this test made. */
export async function checkGuards(): Promise<void> {
  for (const [device, buffers] of all) {
    const checked = [...buffers.values()];
    const damages = checked.length ? await damaged(device, checked) : [];
    for (const buffer of buffers.keys()) {
      if (earlier.has(buffer)) continue;
      buffers.delete(buffer);
      buffer.destroy();
    }
    assert(damages.length === 0, `Written beyond a tensor: ${damages.join("; ")}`);
  }
}

/** Says which guards have bytes that differ. */
async function damaged(device: Device, checked: Guarded[]): Promise<string[]> {
  const { gpu } = device;
  device.flush();
  const parts = checked.flatMap(({ buffer, poison, end, name }) => [
    { buffer, poison, from: 0, bytes: GUARD, what: `before ${name}` },
    { buffer, poison, from: end, bytes: GUARD, what: `after ${name}` },
  ]);
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const staging = gpu.createBuffer({ label: "guards", size, usage });
  const encoder = gpu.createCommandEncoder();
  let at = 0;
  for (const { buffer, from, bytes } of parts) {
    encoder.copyBufferToBuffer(buffer, from, staging, at, bytes);
    at += bytes;
  }
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const read = new Uint16Array(staging.getMappedRange());
  at = 0;
  const damages: string[] = [];
  for (const { bytes, poison, what } of parts) {
    const half = read.subarray(at, at += bytes / 2).findIndex((value) => value !== poison);
    if (half >= 0) damages.push(`byte ${2 * half} ${what}`);
  }
  staging.destroy();
  return damages;
}

Deno.test.beforeEach(() => {
  earlier = new Set([...all.values()].flatMap((buffers) => [...buffers.keys()]));
});
Deno.test.afterEach(checkGuards);
