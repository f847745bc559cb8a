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

export type { Capabilities, DeviceOptions, SubgroupMatrix, Tuning } from "./gpu/adapter.ts";
export { surveyAdapter } from "./gpu/adapter.ts";
export * from "./files/byte_source.ts";
export { dawn, DAWN_PACKAGE, dawnObstacle, type DawnOptions } from "./gpu/dawn.ts";
export type { Debug, DebugOptions } from "./base/debug.ts";
export { debugLevel } from "./base/debug.ts";
export { mayUse, readEnv } from "./base/environment.ts";
export * from "./gpu/device.ts";
export { dryGpu } from "./gpu/dry_gpu.ts";
export * from "./files/dtype.ts";
export * from "./base/errors.ts";
export * from "./base/printable.ts";
export * from "./base/sent_error.ts";
export * from "./base/waiting.ts";
export * from "./gpu/kernel.ts";
export type { Memory, MemoryRole } from "./gpu/memory.ts";
export { endCompilations } from "./gpu/pipelines.ts";
export type { Done, KernelTime, Profiler } from "./gpu/profiler.ts";
export * from "./files/recognise.ts";
export * from "./files/safetensors.ts";
export * from "./files/safetensors_header.ts";
export { readIndex, type ShardIndex, staysInFolder } from "./files/safetensors_index.ts";
export * from "./files/safetensors_writer.ts";
export * from "./gpu/tensor.ts";
export { TEXEL_BYTES, type TexelFormat, Texture, TEXTURE_WIDTH } from "./gpu/texture.ts";
