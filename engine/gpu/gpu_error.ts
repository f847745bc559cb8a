import { BitwiseError, DeviceError, formatBytes, OutOfMemoryError } from "../base/errors.ts";

/** The message of what WebGPU throws or reports. */
export function gpuMessage(error: unknown): string {
  return String((error as Partial<Error> | null | undefined)?.message ?? error);
}

/** Turns what WebGPU throws or reports into an error of the engine, which it returns as it is. */
export function gpuError(error: unknown, liveBytes: number): BitwiseError {
  if (error instanceof BitwiseError) return error;
  const message = gpuMessage(error);
  // by name: each implementation has a class of its own
  return (error as Error | undefined)?.constructor?.name === "GPUOutOfMemoryError"
    ? new OutOfMemoryError(
      "gpu-out-of-memory",
      `Out of GPU memory with ${formatBytes(liveBytes)} in use (${message}); ` +
        "try a smaller batch or smaller weights",
      { cause: error, hint: "use-f16" },
    )
    : new DeviceError("gpu-error", `The GPU refused work: ${message}`, { cause: error });
}
