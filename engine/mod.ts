/** The engine: a device, its memory, tensors, kernels and files of tensors. Knows nothing of models. */
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
