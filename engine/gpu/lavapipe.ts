import { readEnv, readTextIfAllowed, setDefaultEnv, systemName } from "../base/environment.ts";

const WIDTH = "LP_NATIVE_VECTOR_WIDTH";
const CPU_INFO = "/proc/cpuinfo";

/** What LLVM needs of a CPU for 512-bit code. */
const FEATURES = ["avx512f", "avx512bw", "avx512dq", "avx512vl"];

/**
 * Lets Mesa's software adapter use 512-bit registers where the CPU has them; its default is 256. Wide layers gain up
 * to a half; small ones lose a little, and compilation takes twice as long. Mesa reads the variable once, so it only
 * counts before the first device of a process. Leaves a variable that is set as it is, and does nothing without Deno's
 * permissions to read and set the environment and to read {@link CPU_INFO}, which it never asks for.
 */
export function widenLavapipe(): void {
  if (systemName() !== "linux" || readEnv(WIDTH)) return;
  const cpu = readTextIfAllowed(CPU_INFO) ?? "";
  const flags = /^flags\s*:(.*)$/m.exec(cpu)?.[1]?.split(" ") ?? [];
  if (FEATURES.every((feature) => flags.includes(feature))) setDefaultEnv(WIDTH, "512");
}
