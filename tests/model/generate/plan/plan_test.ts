import { assertEquals, assertThrows } from "@std/assert";
import { InputError } from "../../../../engine/mod.ts";
import { parseConfig } from "../../../../model/config/config.ts";
import { findPreset } from "../../../../model/config/presets.ts";
import { parseSchedule } from "../../../../model/config/schedule.ts";
import { makePlan } from "../../../../model/generate/plan/plan.ts";

Deno.test("makePlan() takes a model's lists of defaults for any schedule, but only whole lists of a user", () => {
  const { config: json } = findPreset("125m");
  const defaults = { cfg: [6, 4, 2], tau: [0.5, 0.7] };
  const config = parseConfig({ ...json, defaults }, "125m");
  const of = (schedule: string, options = {}) => {
    const { cfg, tau } = makePlan(config, { schedule: parseSchedule(schedule), ...options }, 1);
    return { cfg, tau };
  };
  assertEquals(of("1x1,2x2"), { cfg: [6, 4], tau: [0.5, 0.7] });
  assertEquals(of("1x1,2x2,3x3,4x4"), { cfg: [6, 4, 2, 2], tau: [0.5, 0.7, 0.7, 0.7] });
  assertEquals(of("1x1,2x2,3x3", { cfgUntil: 1 }).cfg, [6, 1, 1]);
  assertEquals(of("1x1,2x2", { cfgScale: [3, 5] }).cfg, [3, 5]);
  assertThrows(() => of("1x1,2x2", { cfgScale: [6, 4, 2] }), InputError, "2 scales");
});

Deno.test("makePlan() places tokens of any schedule on the model's reference grid", () => {
  const { config: json } = findPreset("125m");
  const { transformer } = parseConfig(json, "125m");
  const of = (reference_grid: number[] | undefined, schedule: string) => {
    const rope = { ...transformer.rope, ...reference_grid && { reference_grid } };
    const config = parseConfig({ ...json, transformer: { ...transformer, rope } }, "125m");
    return makePlan(config, { schedule: parseSchedule(schedule) }, 1).referenceGrid;
  };
  for (const schedule of ["1x1,2x2,8x8", "1x1,3x4"]) assertEquals(of([5, 7], schedule), [5, 7]);
  assertEquals(of(undefined, "1x1,2x2,8x8"), [8, 8]);
});
