import { assertAlmostEquals, assertEquals } from "@std/assert";
import { learningRate } from "../../../../model/training/optimiser/schedule.ts";

const schedule = { peak: 2, warmup: 4, shape: "cosine", final: 0.1 } as const;

Deno.test("learningRate() rises in equal parts to its peak", () => {
  const rates = [0, 1, 2, 3, 4].map((step) => learningRate(schedule, step, 0));
  assertEquals(rates, [0.5, 1, 1.5, 2, 2]);
  assertEquals(learningRate({ ...schedule, warmup: 0 }, 0, 0), 2);
});

Deno.test("learningRate() falls to its final share by a cosine, a line, or not at all", () => {
  const at = (shape: typeof schedule["shape"] | "linear" | "constant", progress: number) =>
    learningRate({ ...schedule, shape }, 100, progress);
  assertAlmostEquals(at("cosine", 0.5), 1.1);
  assertAlmostEquals(at("cosine", 1), 0.2);
  assertAlmostEquals(at("cosine", 0.25), 2 * (0.1 + 0.9 * (1 + Math.SQRT1_2) / 2));
  assertAlmostEquals(at("linear", 0.25), 2 * (0.1 + 0.9 * 0.75));
  assertAlmostEquals(at("linear", 3), 0.2);
  assertEquals(at("constant", 0.7), 2);
});
