import { assertEquals } from "@std/assert";
import { device } from "../../harness.ts";

/** Opens a device in a process of its own, since Mesa reads its variables once, and returns its lanes. */
async function lanes(options: string, env: Record<string, string> = {}): Promise<number> {
  const engine = new URL("../../../engine/mod.ts", import.meta.url).href;
  const script = `import { Device } from "${engine}";
    using device = await Device.open(${options});
    console.log(device.capabilities.subgroupSize);`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
    env: { DENO_WEBGPU_BACKEND: "vulkan", ...env },
    stderr: "null",
  }).output();
  assertEquals(code, 0);
  return Number(new TextDecoder().decode(stdout));
}

const flags = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
const able = ["avx512f", "avx512bw", "avx512dq", "avx512vl"].every((name) => flags.includes(name));
const lavapipe = device.capabilities.adapter.includes("llvmpipe");
const reason = lavapipe ? able ? "" : " (skipped: no AVX-512)" : " (skipped: not lavapipe)";

Deno.test({
  name:
    `Device.open() uses 512-bit registers only for wide layers, and leaves a set variable${reason}`,
  ignore: reason !== "",
  async fn() {
    assertEquals(await lanes("{ wide: true }"), 16);
    assertEquals(await lanes("{}"), 8);
    assertEquals(await lanes("{ wide: true }", { LP_NATIVE_VECTOR_WIDTH: "256" }), 8);
  },
});
