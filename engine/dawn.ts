import { DeviceError } from "./errors.ts";

/** Dawn, built for Node. By a name that is no literal, so that only those download its 130 MB who ask for it. */
export const DAWN_PACKAGE: string = "npm:webgpu@0.6.2";

/** Subgroup matrices count as unsafe while they are an experiment; timestamps are else rounded to 65 µs. */
const TOGGLES = [
  "enable-dawn-features=allow_unsafe_apis,use_vulkan_memory_model",
  "disable-dawn-features=timestamp_quantization",
];

/**
 * Dawn (`npm:webgpu`) in place of Deno's own WebGPU: a second implementation, and the one with tensor cores. Loaded, and
 * downloaded, when it is called; needs `--allow-ffi`. `flags` go to Dawn's `create` beside those it is made with here.
 *
 * @example
 * ```ts ignore
 * import { InfinityModel } from "@bitwise/infinity";
 * import { dawn } from "@bitwise/infinity/engine";
 *
 * using model = await InfinityModel.load("models/infinity-2b", { gpu: await dawn(), type: "f16" });
 * ```
 *
 * @throws {DeviceError} `no-dawn`: it cannot be loaded; says what to do.
 */
export async function dawn(...flags: string[]): Promise<GPU> {
  try {
    const { create } = await import(DAWN_PACKAGE) as { create(flags: string[]): GPU };
    pollGently();
    return create([...TOGGLES, ...flags]);
  } catch (cause) {
    const { name, message } = cause as Error;
    const advice = name === "NotCapable"
      ? "it is native code, run again with --allow-ffi"
      : `${
        message.split("\n")[0]
      }; where npm can be reached, run deno cache --no-lock ${DAWN_PACKAGE}`;
    throw new DeviceError("no-dawn", `Cannot load Dawn: ${advice}`, { cause });
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
 * While the GPU works, Dawn asks by `setImmediate` how far it is, each time with a new native function. Deno 2.9 takes
 * time in the square of their number to collect them, so that seconds of waiting cost minutes: once a millisecond is enough.
 */
function pollGently(): void {
  host.setImmediate = timed;
}
