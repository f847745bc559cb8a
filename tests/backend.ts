/**
 * Keeps Deno from trying OpenGL beside Vulkan where it looks for adapters: Mesa's EGL frees a thread's data twice when a
 * test file's thread ends, which now and then ends the process with 134 behind tests that all passed.
 *
 * @module
 */

if (Deno.build.os === "linux" && !Deno.env.get("DENO_WEBGPU_BACKEND")) {
  Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
}
