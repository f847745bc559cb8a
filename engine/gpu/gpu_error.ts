import { BitwiseError, DeviceError, formatBytes, OutOfMemoryError } from "../base/errors.ts";

/** Characters of a message that are passed on: that of a shader that fails to compile quotes its lines. */
const MAX_MESSAGE = 500;

/** The message of what WebGPU throws or reports, on one line. */
export function gpuMessage(error: unknown): string {
  const message = error instanceof Error || error && typeof error === "object" && "message" in error
    ? String(error.message)
    : String(error);
  const line = message.replaceAll(/\s+/g, " ").trim();
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}…` : line;
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
