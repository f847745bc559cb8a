/** The GPU's thread, whose GPU is lost at prompts that say so: once, in one thread of the process, or always. */

import { DeviceError } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import type { GenerateOptions } from "../../../model/generate/options.ts";
import "../../../serve/engine/gpu_thread.ts";

const FLAG = "bitwise-test-lost";
const generate = InfinityModel.prototype.generate;

InfinityModel.prototype.generate = function (this: InfinityModel, first: unknown) {
  const [prompt] = (first as GenerateOptions).prompt as string[];
  const once = prompt === "lose it once" && !Deno.env.get(FLAG);
  if (once) Deno.env.set(FLAG, "1");
  if (once || prompt === "lose it always") {
    this.device.dispose();
    return Promise.reject(new DeviceError("device-lost", "The GPU was lost"));
  }
  return generate.call(this, first as GenerateOptions);
} as typeof generate;
