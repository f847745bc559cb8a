/**
 * What runs before each test file: chooses the WebGPU implementation, and the model where a test names none: emoji-nano,
 * which takes a tenth of a second for an image.
 *
 * Keeps Deno from trying OpenGL beside Vulkan where it looks for adapters: Mesa's EGL frees a thread's data twice when
 * a test file's thread ends, which now and then ends the process with 134 after tests that all passed. With
 * `BITWISE_GPU=dawn` in the environment, Dawn takes the place of Deno's own implementation (tests/dawn.sh), and with
 * `BITWISE_ROBUSTNESS=1` it checks the bounds of each access, as it does not by default. With `BITWISE_PROFILE` the
 * adapter offers less: "default limits", "no subgroups" and others of reduced_gpu.ts.
 *
 * @module
 */

import { dawn } from "../engine/mod.ts";
import { PROFILES, reducedGpu } from "./reduced_gpu.ts";

if (Deno.build.os === "linux" && !Deno.env.get("DENO_WEBGPU_BACKEND")) {
  Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
}

if (!Deno.env.get("BITWISE_MODEL")) Deno.env.set("BITWISE_MODEL", "emoji-nano");

/** Whether the tests run on Dawn. */
export const DAWN: boolean = Deno.env.get("BITWISE_GPU") === "dawn";

/** Whether the implementation checks the bounds of each access. Deno's own always does. */
export const CHECKED: boolean = !DAWN || Deno.env.get("BITWISE_ROBUSTNESS") === "1";

if (DAWN) {
  const value = await dawn({ robustness: CHECKED });
  Object.defineProperty(navigator, "gpu", { value, configurable: true });
}

const profile = Deno.env.get("BITWISE_PROFILE");
if (profile) {
  if (!Object.hasOwn(PROFILES, profile)) {
    throw new Error(`BITWISE_PROFILE is one of: ${Object.keys(PROFILES).join(", ")}`);
  }
  const value = reducedGpu(navigator.gpu, PROFILES[profile as keyof typeof PROFILES]);
  Object.defineProperty(navigator, "gpu", { value, configurable: true });
}
