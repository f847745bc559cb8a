import { assertEquals } from "@std/assert";
import {
  type ImageParameters,
  imageParameters,
  parseParameters,
} from "../../../../model/generate/plan/parameters.ts";
import { encodePng, readPngText } from "../../../../model/image/png.ts";
import { inTime } from "../../../in_time.ts";

const apple: ImageParameters = {
  prompt: "red apple",
  scales: 4,
  cfgScale: 2,
  tau: 0.5,
  seed: 0n,
  width: 32,
  height: 32,
  model: "emoji-nano",
  schedule: [[1, 1], [2, 2], [3, 3], [4, 4]],
  topK: 0,
  topP: 0,
  greedy: false,
  cfgInsertionLayer: 0,
  version: "0.1.0",
};

Deno.test("imageParameters() writes the format of the web UI", () => {
  assertEquals(
    imageParameters({ ...apple, negativePrompt: "green" }),
    "red apple\nNegative prompt: green\n" +
      "Steps: 4, Sampler: Infinity, CFG scale: 2, Seed: 0, Size: 32x32, Model: emoji-nano, Tau: 0.5, " +
      'Schedule: "1x1,2x2,3x3,4x4", Version: bitwise 0.1.0',
  );
});

Deno.test("imageParameters() writes one number if all scales have the same", () => {
  const text = imageParameters({ ...apple, cfgScale: [3, 3, 3, 3] });
  assertEquals(parseParameters(text), { ...apple, cfgScale: 3 });
});

Deno.test("parseParameters() reads back all that imageParameters() wrote, through a PNG too", () => {
  const cases: Partial<ImageParameters>[] = [
    {},
    { prompt: "a, b: c, Steps: 9, Seed: 1, Size: 3x3" },
    { prompt: "two\nlines, with commas\n\nand a gap", negativePrompt: "also\ntwo" },
    { prompt: "Negative prompt: is how\nNegative prompt: it begins" },
    { prompt: "x", negativePrompt: "y\nNegative prompt: z" },
    { prompt: "  spaces \r\n\ttabs\t", negativePrompt: " " },
    { prompt: "", negativePrompt: "" },
    { prompt: 'say "hi", \\ 猫 🐱 \0 \ud800', negativePrompt: "\0" },
    { prompt: "Steps: 4, Sampler: x, Seed: 3" },
    { prompt: "a\u2028b, Steps: 4, Sampler: x\u2028", negativePrompt: "\u2028", model: "\u2028 m" },
    { cfgScale: [4, 3, 2.5, 1], tau: [1, 0.5, 1e-7, 0.1], topK: 1, topP: 0.9 },
    { fast: ["kv"] },
    { fast: ["kv", "prune"], keepScales: 2, masked: true },
    { seed: 2n ** 64n - 1n, greedy: true, cfgInsertionLayer: -2, type: "f16" },
    { cfgInsertionLayer: [-2, 0] },
    { cfgInsertionLayer: [-3, -1], cfgScale: [1, 2, 3, 4] },
    { model: 'mine, "best": v2', width: 1024, height: 768, schedule: [[1, 1], [48, 64]] },
  ];
  for (const changes of cases) {
    const of = { ...apple, ...changes };
    const parameters = imageParameters(of);
    assertEquals(parseParameters(parameters), of);
    const png = encodePng(new Uint8Array(4), 1, 1, { parameters });
    assertEquals(parseParameters(readPngText(png).parameters!), of);
  }
});

Deno.test("parseParameters() reads the text of other programs", () => {
  assertEquals(
    parseParameters(
      "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5",
    ),
    {
      prompt: "a cat",
      negativePrompt: "dog",
      scales: 20,
      cfgScale: 7,
      seed: 5n,
      topK: 0,
      topP: 0,
      greedy: false,
      cfgInsertionLayer: 0,
    },
  );
  assertEquals(parseParameters("only: a prompt"), { prompt: "only: a prompt" });
  assertEquals(parseParameters(""), { prompt: "" });
});

Deno.test("parseParameters() leaves out what it does not understand", () => {
  const fields = [
    ...["Steps: x", 'CFG scale: "1,y"', "Tau: ", "Size: 9", "Seed: 1.5", "Top K: NaN", "Top P: z"],
    ...['Schedule: "1x1,2"', "Kept scales: many", "CFG insertion layer: top"],
  ];
  assertEquals(parseParameters(`a cat\n${fields.join(", ")}`), {
    prompt: "a cat",
    topK: 0,
    topP: 0,
    greedy: false,
    cfgInsertionLayer: 0,
  });
});

Deno.test("parseParameters() takes time in proportion to the text", async () => {
  for (const part of ["a", " ", "a ", 'aa:"', "aa: ", "Seed: 9", "9"]) {
    const long = part.repeat(3e5 / part.length);
    for (const text of [long, `Seed: ${long}`, `!${long}!`]) {
      await inTime(5000, () => parseParameters(`${text}, Steps: 1, Size: 1x1, Seed: 1`));
    }
  }
});
