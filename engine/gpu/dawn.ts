import { quietVulkan } from "../base/environment.ts";
import { DeviceError } from "../base/errors.ts";

/** Dawn, built for Node. Imported by a computed name, so that its 130 MB are downloaded only on demand. */
export const DAWN_PACKAGE: string = "npm:webgpu@0.6.2";

/** Subgroup matrices count as unsafe while they are experimental. Timestamps would be rounded to 65 µs. */
const TOGGLES = [
  "enable-dawn-features=allow_unsafe_apis,use_vulkan_memory_model",
  "disable-dawn-features=timestamp_quantization",
];

/**
 * Loads Dawn (`npm:webgpu`) to use in place of Deno's own WebGPU: a second implementation, and the one with tensor
 * cores. Downloads it at the first call. Needs permission to call native code (`--allow-ffi`).
 *
 * @param flags More flags for Dawn's `create`, after those that bitwise needs.
 *
 * @example
 * ```ts ignore
 * import { InfinityModel } from "@bitwise/infinity";
 * import { dawn } from "@bitwise/infinity/engine";
 *
 * using model = await InfinityModel.load("models/infinity-2b", { gpu: await dawn(), type: "f16" });
 * ```
 *
 * @throws {DeviceError} `no-dawn`: it cannot be loaded; the message says what to do.
 */
export async function dawn(...flags: string[]): Promise<GPU> {
  try {
    const { create } = await import(DAWN_PACKAGE) as { create(flags: string[]): GPU };
    quietVulkan();
    pollGently();
    return create([...TOGGLES, ...flags]);
  } catch (cause) {
    const { name, message } = cause as Error;
    const denied = name === "NotCapable";
    const reason = denied
      ? "it is native code, which this process may not call"
      : `${
        message.split("\n")[0]
      }; where npm can be reached, run deno cache --no-lock ${DAWN_PACKAGE}`;
    const hint = denied ? "allow-ffi" : undefined;
    throw new DeviceError("no-dawn", `Cannot load Dawn: ${reason}`, { cause, hint });
  }
}

type Callback = (...args: unknown[]) => void;
const host = globalThis as unknown as {
  setImmediate(callback: Callback, ...args: unknown[]): unknown;
};
const { setImmediate } = host;
const timed: typeof setImmediate = (callback, ...args) =>
  /\[native code\]/.test(Function.prototype.toString.call(callback))
    ? setTimeout(callback, 1, ...args)
    : setImmediate(callback, ...args);

/**
 * While the GPU works, Dawn polls it by `setImmediate`, each time with a new native function. Deno 2.9 takes time in
 * the square of their number to collect them, so seconds of waiting would cost minutes. Polls once a millisecond
 * instead.
 */
function pollGently(): void {
  host.setImmediate = timed;
}
