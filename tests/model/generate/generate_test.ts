import { assertEquals, assertRejects } from "@std/assert";
import type { GenerateOptions } from "../../../model/generate/options.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { device } from "../../harness.ts";

const model = await InfinityModel.load(undefined, { device });
const SCALES = model.config.scale_schedule.length;

class Expected extends Error {}

const stop = () => {
  throw new Expected();
};

/** Options that end a generation with an error, at every point where the caller's code runs. */
const ENDS: [name: string, options: Omit<GenerateOptions, "prompt">][] = [
  ...Array.from({ length: SCALES }, (_, s): [string, GenerateOptions] => [
    `onProgress() throws at scale ${s}`,
    { onProgress: ({ stage, scale }) => stage === "scale" && scale === s && stop() },
  ]),
  ["onProgress() throws at decode", { onProgress: ({ stage }) => stage === "decode" && stop() }],
  ...(["text", "transformer", "vae"] as const).map((at): [string, GenerateOptions] => [
    `onStage() throws at ${at}`,
    { onStage: (stage) => stage === at && stop() },
  ]),
];

for (const trace of [false, true]) {
  const how = trace ? " with a trace" : "";
  for (const [name, options] of ENDS) {
    Deno.test(`generate() and stream()${how} free their memory if ${name}`, async () => {
      const live = device.memory.liveBytes;
      const all = { ...options, prompt: ["cat", "dog"], trace };
      await assertRejects(() => model.generate(all), Expected);
      assertEquals(device.memory.liveBytes, live);
      for (const preview of [false, true]) {
        const run = async () => {
          for await (const _ of model.stream({ ...all, preview })) { /* to the end */ }
        };
        await assertRejects(run, Expected);
        assertEquals(device.memory.liveBytes, live, `preview: ${preview}`);
      }
    });
  }

  Deno.test(`stream()${how} frees its memory if it is left at any scale`, async () => {
    const live = device.memory.liveBytes;
    for (let s = 0; s < SCALES; s++) {
      for await (const { scale } of model.stream("cat", { preview: s % 2 === 0, trace })) {
        if (scale === s) break;
      }
      assertEquals(device.memory.liveBytes, live, `scale ${s}`);
    }
  });
}
