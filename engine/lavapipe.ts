const WIDTH = "LP_NATIVE_VECTOR_WIDTH";
/** What LLVM wants of a CPU for 512-bit code. */
const FEATURES = ["avx512f", "avx512bw", "avx512dq", "avx512vl"];

/**
 * Lets Mesa's software adapter use 512-bit registers where the CPU has them; it takes 256 of its own accord. Wide layers
 * gain up to a half; small ones lose some, and compilation takes twice as long. Mesa reads the variable once, so it counts
 * before the first device of a process alone. A variable that is set is left, and nothing is asked for: without Deno's
 * permissions to read and to set the environment it does nothing.
 */
export function widenLavapipe(): void {
  if (!("Deno" in globalThis) || Deno.build.os !== "linux") return;
  const path = "/proc/cpuinfo";
  for (const permission of [{ name: "env", variable: WIDTH }, { name: "read", path }] as const) {
    if (Deno.permissions.querySync(permission).state !== "granted") return;
  }
  if (Deno.env.has(WIDTH)) return;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(Deno.readTextFileSync(path))?.[1]?.split(" ") ?? [];
    if (FEATURES.every((feature) => flags.includes(feature))) Deno.env.set(WIDTH, "512");
  } catch { /* a sandbox may hide the file */ }
}
