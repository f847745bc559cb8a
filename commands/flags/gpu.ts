import { oneOf } from "./types.ts";
import { DAWN_PACKAGE } from "../../engine/mod.ts";

/** The flag of commands that open a GPU. */
export const GPU_FLAG = {
  "gpu": {
    type: oneOf("wgpu", "dawn"),
    help:
      `WebGPU: Deno's (wgpu), or ${DAWN_PACKAGE} with --allow-ffi; if absent, the faster one here`,
  },
} as const;
