/**
 * The compute engine under bitwise: a WebGPU device, its memory, tensors, kernels, and files of tensors. It knows
 * nothing about models.
 *
 * @example
 * ```ts
 * import { Device } from "@bitwise/infinity/engine";
 *
 * using device = await Device.open();
 * using x = device.from("f32", [3], Float32Array.of(1, 2, 3));
 * console.log(await device.read(x));
 * ```
 *
 * @module
 */

export type { Capabilities, DeviceOptions, SubgroupMatrix, Tuning } from "./adapter.ts";
export * from "./byte_source.ts";
export { dawn, DAWN_PACKAGE } from "./dawn.ts";
export type { Debug, DebugOptions } from "./debug.ts";
export { debugLevel } from "./debug.ts";
export * from "./device.ts";
export { dryGpu } from "./dry_gpu.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./kernel.ts";
export type { Memory, MemoryRole } from "./memory.ts";
export type { Done, KernelTime, Profiler } from "./profiler.ts";
export * from "./safetensors.ts";
export * from "./safetensors_header.ts";
export * from "./safetensors_writer.ts";
export * from "./tensor.ts";
export * from "./texture.ts";
