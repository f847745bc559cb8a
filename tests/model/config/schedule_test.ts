import { assertEquals, assertThrows } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { goldenJson } from "../../goldens.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { findPreset, PRESETS } from "../../../model/config/presets.ts";
import {
  checkSchedule,
  imageSizes,
  nearestRatio,
  parseSchedule,
  PIXEL_BUDGETS,
  RATIOS,
  referenceGrid,
  scheduleForImage,
  scheduleForSize,
  schedules,
} from "../../../model/config/schedule.ts";

type Grid = readonly [number, number];

const table = await goldenJson("dynamic_resolution");
const cases: { ratio: number; pixels: string; pixel: Grid; grids: Grid[]; tokens: number }[] =
  Object.entries(table.dynamic_resolution_h_w).flatMap(([ratio, budgets]) =>
    // deno-lint-ignore no-explicit-any
    Object.entries(budgets as any).map(([pixels, entry]: [string, any]) => ({
      ratio: Number(ratio),
      pixels,
      pixel: entry.pixel,
      grids: entry.scales.map(([, h, w]: number[]): Grid => [h, w]),
      tokens: entry.seq_len_image,
    }))
  );

Deno.test("golden: schedules() returns the official dynamic resolutions", () => {
  assertEquals(RATIOS, table.h_div_w_templates);
  assertEquals(cases.length, RATIOS.length * PIXEL_BUDGETS.length);
  for (const { ratio, pixels, grids, tokens } of cases) {
    const schedule = schedules(ratio, pixels as typeof PIXEL_BUDGETS[number]);
    assertEquals(schedule, grids);
    assertEquals(schedule.reduce((sum, [h, w]) => sum + h * w, 0), tokens);
  }
});

Deno.test("golden: schedules() returns the official tokenizer's schedules", () => {
  const entries = Object.entries(table.predefined_HW_Scales_dynamic);
  assertEquals(entries.length, RATIOS.length * 3);
  for (const [size, expected] of entries) {
    const found = RATIOS.flatMap((ratio) => PIXEL_BUDGETS.map((p) => schedules(ratio, p)))
      .filter((schedule) => schedule.at(-1)!.join("x") === size);
    assertEquals(found, [expected as Grid[]]);
  }
});

Deno.test("schedules() refuses ratios and sizes that are not in the table", () => {
  assertThrows(
    () => schedules(1.3, "1M"),
    InputError,
    "Cannot use ratio 1.3: it must be one of 1, 1.25, 0.8, 1.333, 0.75",
  );
  assertThrows(
    () => schedules(1, "2M" as "1M"),
    InputError,
    'Cannot use size "2M": it must be one of 0.06M, 0.25M, 0.60M, 1M',
  );
  assertThrows(() => schedules(1, "toString" as "1M"), InputError);
});

Deno.test("nearestRatio() finds the nearest height over width", () => {
  for (const ratio of RATIOS) assertEquals(nearestRatio(ratio), ratio);
  assertEquals(nearestRatio(1.1), 1);
  assertEquals(nearestRatio(9 / 16), 0.571);
  assertEquals(nearestRatio(16 / 9), 1.75);
  assertEquals(nearestRatio(1 / 100), 0.333);
  assertEquals(nearestRatio(100), 3);
  assertEquals(nearestRatio(1.125), 1); // the first of two that are equally near
  for (const ratio of [0, -1, NaN, Infinity]) assertThrows(() => nearestRatio(ratio), InputError);
});

Deno.test("parseSchedule() reads heights and widths", () => {
  assertEquals(parseSchedule("1x1,2x2,3x4"), [[1, 1], [2, 2], [3, 4]]);
  assertEquals(parseSchedule(" 1X1 , 16x16"), [[1, 1], [16, 16]]);
  for (
    const text of ["", "1x1,", "1x1 2x2", "1x0", "01x1", "1", "1x1x1", "-1x1", "1.5x2", "1x1e3"]
  ) {
    assertThrows(() => parseSchedule(text), InputError, `Cannot read schedule "${text}": `);
  }
});

Deno.test("referenceGrid() is the last scale of an official schedule's ratio", () => {
  for (const { ratio, grids } of cases) {
    assertEquals(referenceGrid(grids), schedules(ratio, "1M").at(-1)!);
  }
  assertEquals(referenceGrid(parseSchedule("1x1,2x2,3x3,4x4")), [4, 4]);
  assertEquals(referenceGrid(schedules(1, "1M").slice(0, 8)), [20, 20]);
  assertEquals(referenceGrid([...schedules(1, "1M"), [80, 80]]), [80, 80]);
  assertThrows(() => referenceGrid([]), InputError);
});

Deno.test("scheduleForImage() takes the nearest official shape, as large as the model's own", () => {
  const config = parseConfig(PRESETS.get("infinity-2b")!.config, "2b");
  assertEquals(scheduleForImage(config, 4000, 3000), schedules(0.75, "1M"));
  assertEquals(scheduleForImage(config, 300, 500), schedules(1.75, "1M"));
  const small = parseConfig(PRESETS.get("infinity-125m")!.config, "125m");
  assertEquals(scheduleForImage(small, 100, 99), schedules(1, "0.06M"));
  const { pixel_budgets: _, ...own } = config;
  assertEquals(scheduleForImage(own, 4000, 3000), schedules(1, "1M"));
});

Deno.test("scheduleForSize() finds every official image size", () => {
  const config = parseConfig({}, "config.json");
  const patchify = parseConfig({ transformer: { apply_spatial_patchify: 1 } }, "config.json");
  for (const { pixel: [height, width], grids } of cases) {
    assertEquals(scheduleForSize(config, width, height), grids);
    assertEquals(scheduleForSize(patchify, width, height), grids);
  }
  assertEquals(scheduleForSize(config), schedules(1, "1M"));
});

Deno.test("scheduleForSize() refuses every size but its own for a model trained at one size", () => {
  const scales = parseSchedule("1x1,2x2,3x3,4x4");
  const tiny = parseConfig({
    scale_schedule: scales.map(([h, w]) => [1, h, w]),
    vae: {
      base_ch: 32,
      decoder_ch_mult: [1, 2, 2, 4],
      encoder_ch_mult: [1, 1, 2, 4],
      patch_size: 8,
    },
    transformer: { lvl_embed_rows: 10 },
  }, "config.json");
  assertEquals(scheduleForSize(tiny), scales);
  assertEquals(scheduleForSize(tiny, 32, 32), scales);
  for (const [width, height] of [[160, 128], [128, 128], [512, 512], [32, 64]] as const) {
    const { message } = assertThrows(() => scheduleForSize(tiny, width, height), InputError);
    assertEquals(
      message,
      `Cannot make ${width}x${height} pixels: infinity was trained at 32x32 only; ` +
        "to try another size anyway, give a schedule",
    );
  }
  assertThrows(
    () => scheduleForSize(tiny, 512),
    InputError,
    "Cannot use width 512 alone: give both width and height",
  );
  for (const size of [0, -32, NaN, Infinity, 32.5]) {
    assertThrows(() => scheduleForSize(tiny, size, 32), InputError, "Cannot make ");
  }
});

Deno.test("golden: scheduleForSize() takes the nearest official size and says so", () => {
  const json = PRESETS.get("infinity-2b")!.config;
  const config = parseConfig({ ...json, pixel_budgets: PIXEL_BUDGETS }, "config.json");
  const plan = (width: number, height: number) => {
    const warnings: string[] = [];
    const schedule = scheduleForSize(config, width, height, (line) => warnings.push(line));
    return { schedule, warnings };
  };
  assertEquals(cases.length, 60);
  for (const { pixel: [height, width], grids } of cases) {
    assertEquals(plan(width, height), { schedule: grids, warnings: [] });
    const size = `${width}x${height}`;
    // half a token more or less has the same nearest size
    for (const [dw, dh] of [[8, 8], [-7, -7], [3, -2]] as const) {
      const wanted = `${width + dw}x${height + dh}`;
      assertEquals(plan(width + dw, height + dh), {
        schedule: grids,
        warnings: [`Using ${size}, the official size nearest to ${wanted}`],
      });
    }
  }
  const used = (width: number, height: number) => plan(width, height).warnings[0]!.split(",")[0];
  assertEquals(used(1000, 1000), "Using 1024x1024");
  assertEquals(used(1920, 1080), "Using 1344x768");
  assertEquals(used(1, 1), "Using 256x256");
  assertEquals(used(1e6, 1), "Using 1776x592");
});

Deno.test("scheduleForSize() warns of sizes that a model was not trained for", () => {
  const warned = (name: string, width?: number, height?: number) => {
    const warnings: string[] = [];
    const config = parseConfig(PRESETS.get(name)!.config, name);
    scheduleForSize(config, width, height, (line) => warnings.push(line));
    return warnings;
  };
  assertEquals(warned("infinity-2b"), []);
  assertEquals(warned("infinity-2b", 1024, 1024), []);
  assertEquals(warned("infinity-2b", 832, 1248), []);
  assertEquals(warned("infinity-2b", 512, 512), [
    "infinity-2b was not trained for 512x512: images may be poor; use 1024x1024",
  ]);
  assertEquals(warned("infinity-8b-512", 1000, 600), [
    "Using 1120x640, the official size nearest to 1000x600",
    "infinity-8b-512 was not trained for 1120x640: images may be poor; use 672x384",
  ]);
  assertEquals(warned("infinity-125m", 256, 256), []);
  assertThrows(() => warned("infinity-2b", 0, 512), InputError, "both must be above 0");
});

Deno.test("checkSchedule() and parseSchedule() bound the scales and tokens", () => {
  const many = (n: number, side = 1) => Array.from({ length: n }, () => [side, side] as const);
  checkSchedule(many(1000));
  checkSchedule(many(1, 1024));
  const refuses = (schedule: readonly Grid[], message: string) =>
    assertThrows(() => checkSchedule(schedule), InputError, message);
  refuses(many(1001), "Cannot use a schedule of 1001 scales: give at most 1000 scales");
  refuses(many(2, 1024), "Cannot use a schedule of 2 scales: give at most 1048576 tokens in all");
  refuses(many(1, 2 ** 60), "give at most 1048576 tokens in all");
  refuses([], "Cannot use an empty schedule");
  refuses([[1, 0]], "Cannot use a scale of 1x0");
  assertEquals(parseSchedule(many(1000).map(() => "1x1").join()).length, 1000);
  const text = "1x1,".repeat(1e6);
  const error = assertThrows(() => parseSchedule(text), InputError, "it has more than 1000 scales");
  assertEquals(error.message.length < 250, true);
});

Deno.test("imageSizes() are those of all official shapes, and each has its schedule", () => {
  const official = parseConfig(findPreset("2b").config, "2b");
  const sizes = imageSizes(official);
  assertEquals(sizes.length, RATIOS.length);
  const own = official.scale_schedule.length;
  for (const { width, height } of sizes) {
    const schedule = scheduleForImage(official, width, height);
    assertEquals(schedule.length, own);
    const [h, w] = schedule.at(-1)!;
    assertEquals([w * 16, h * 16], [width, height]);
  }
  assertEquals(imageSizes({ ...official, pixel_budgets: undefined }), [official.image]);
});
