import { DeviceError } from "../engine/errors.ts";
import { oneOf } from "./flags.ts";

/** Dawn, built for Node. By a name that is no literal, so that only those download its 130 MB who ask for it. */
const PACKAGE: string = "npm:webgpu@0.6.2";

/** Subgroup matrices count as unsafe while they are an experiment; timestamps are else rounded to 65 µs. */
const TOGGLES = [
  "enable-dawn-features=allow_unsafe_apis,use_vulkan_memory_model",
  "disable-dawn-features=timestamp_quantization",
];

/** The flag of commands that open a GPU. */
export const GPU_FLAG = {
  "gpu": {
    type: oneOf("wgpu", "dawn"),
    help: `WebGPU implementation: Deno's (wgpu), or ${PACKAGE} with --allow-ffi`,
  },
} as const;

/**
 * The implementation of that name, for `Device.open`; none is the runtime's own.
 *
 * @throws {DeviceError} `no-dawn`: it cannot be loaded; says what to do.
 */
export async function implementation(name: "wgpu" | "dawn" | undefined): Promise<GPU | undefined> {
  return name === "dawn" ? await dawn() : undefined;
}

/** Dawn as `navigator.gpu` would be; `flags` go to it beside {@link TOGGLES}. @throws {DeviceError} `no-dawn` */
export async function dawn(...flags: string[]): Promise<GPU> {
  try {
    const { create } = await import(PACKAGE) as { create(flags: string[]): GPU };
    return create([...TOGGLES, ...flags]);
  } catch (cause) {
    const { name, message } = cause as Error;
    const advice = name === "NotCapable"
      ? "it is native code, run again with --allow-ffi"
      : `${message.split("\n")[0]}; where npm can be reached, run deno cache --no-lock ${PACKAGE}`;
    throw new DeviceError("no-dawn", `Cannot load Dawn: ${advice}`, { cause });
  }
}
