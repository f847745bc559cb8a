import { oneOf } from "./types.ts";
import { dawn, DAWN_PACKAGE } from "../../engine/mod.ts";

/** The flag of commands that open a GPU. */
export const GPU_FLAG = {
  "gpu": {
    type: oneOf("wgpu", "dawn"),
    help: `WebGPU implementation: Deno's (wgpu), or ${DAWN_PACKAGE} with --allow-ffi`,
  },
} as const;

/**
 * Returns the implementation of that name for `Device.open`; undefined for the one of the runtime.
 *
 * @throws {DeviceError} `no-dawn`: It cannot be loaded; the message says what to do.
 */
export async function implementation(name: "wgpu" | "dawn" | undefined): Promise<GPU | undefined> {
  return name === "dawn" ? await dawn() : undefined;
}
