import { assertEquals } from "@std/assert";
import {
  askFor,
  EMPTY,
  faultsOf,
  fitSettings,
  readSettings,
} from "../../../serve/page/data/settings.ts";
import { CARD } from "../http/fake_maker.ts";

const card = { ...CARD, maxImages: 4 };
const settings = { ...fitSettings(EMPTY, card), prompt: " a square ", random: false, seed: "7" };

Deno.test("Settings fit the model: its sizes, and no more pictures than it makes at once", () => {
  const fit = fitSettings({ ...EMPTY, size: "512x512", count: 99 }, card);
  assertEquals([fit.size, fit.count], ["8x8", 4]);
  assertEquals(fitSettings({ ...EMPTY, size: "16x8" }, card).size, "16x8");
});

Deno.test("What the server would refuse is found before", () => {
  const bad: [Partial<typeof settings>, string][] = [
    [{ prompt: "  " }, "prompt"],
    [{ cfg: "x" }, "cfg"],
    [{ cfg: "1,,2" }, "cfg"],
    [{ tau: "Infinity" }, "tau"],
    [{ seed: "" }, "seed"],
    [{ seed: "-1" }, "seed"],
    [{ seed: "18446744073709551616" }, "seed"],
  ];
  for (const [change, field] of bad) {
    assertEquals(Object.keys(faultsOf({ ...settings, ...change })), [field]);
  }
  const good = [{}, { cfg: "3" }, { tau: "0.5, 0.6,1e-1" }, { seed: "18446744073709551615" }];
  for (const change of good) assertEquals(faultsOf({ ...settings, ...change }), {});
});

Deno.test("Empty fields are the model's choice, and a bits file decides the size", () => {
  const plain = {
    prompt: "a square",
    negativePrompt: undefined,
    cfgScale: undefined,
    tau: undefined,
    seed: "7",
    count: 1,
  };
  assertEquals(askFor(settings), { ...plain, width: 8, height: 8, start: undefined });
  const bits = { image: new Blob([], { type: "application/octet-stream" }), keepScales: 2 };
  assertEquals(askFor(settings, bits), { ...plain, start: bits });
  const image = { image: new Blob([], { type: "image/png" }) };
  assertEquals(askFor(settings, image), { ...plain, width: 8, height: 8, start: image });
});

Deno.test("Parameters fill the fields that they have", () => {
  const text = "cat\nSteps: 4, CFG scale: 2, Seed: 3, Size: 16x8, Model: squares, Tau: 0.5";
  assertEquals(readSettings(text, card), {
    settings: {
      prompt: "cat",
      negative: "",
      size: "16x8",
      cfg: "2",
      tau: "0.5",
      seed: "3",
      random: false,
      count: 1,
    },
    notes: [],
  });
  assertEquals(readSettings("cat", card).settings, { prompt: "cat", negative: "", count: 1 });
  assertEquals(readSettings("cat\nSteps: 4, Seed: 3, Size: 64x64, Kept scales: 2", card).notes, [
    "this model does not draw 64×64",
    "it was drawn over another picture",
  ]);
});
