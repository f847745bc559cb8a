import { assert, assertEquals } from "@std/assert";
import { batchThatFits } from "../../model/batch.ts";
import { findPreset } from "../../model/config/presets.ts";
import { parseConfig } from "../../model/config/config.ts";
import { planMemory } from "../../model/memory_plan.ts";

const CONFIG = parseConfig(findPreset("125m").config, "125m");

Deno.test("batchThatFits() returns the largest batch within each limit", async () => {
  const options = { type: "f16" } as const;
  const peakOf = async (prompts: number) =>
    (await planMemory(CONFIG, { ...options, prompts })).peak;
  for (const images of [1, 2, 5, 9]) {
    const maxBytes = await peakOf(images);
    assert(maxBytes < await peakOf(images + 1), "each image must need memory");
    assertEquals(await batchThatFits(CONFIG, options, { images: 100, maxBytes }), images);
  }
  const all = { images: 3, maxBytes: await peakOf(100) };
  assertEquals(await batchThatFits(CONFIG, options, all), 3);
});

Deno.test("batchThatFits() keeps within a binding and a budget of activations, and never returns 0", async () => {
  const options = { type: "f16" } as const;
  const fits = (maxBindingBytes: number) =>
    planMemory(CONFIG, { ...options, prompts: 4, maxBindingBytes }).then(() => true, () => false);
  let maxBindingBytes = 2 ** 20;
  while (!await fits(maxBindingBytes)) maxBindingBytes *= 2;
  const within = await batchThatFits(CONFIG, options, { images: 64, maxBindingBytes });
  assert(within >= 4 && within < 64, `${within}`);

  const { stages } = await planMemory(CONFIG, { ...options, prompts: 3 });
  const maxActivations = Math.max(...stages.map(({ cache, workspace }) => cache + workspace));
  assertEquals(await batchThatFits(CONFIG, options, { images: 64, maxActivations }), 3);
  assertEquals(await batchThatFits(CONFIG, options, { images: 64, maxBytes: 1 }), 1);
  assertEquals(await batchThatFits(CONFIG, options, { images: 1 }), 1);
});
