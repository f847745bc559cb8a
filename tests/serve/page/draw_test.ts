/** What is typed and drawn, scale by scale, and what is kept. */

import { assert, assertEquals } from "@std/assert";
import { readPngText } from "../../../model/image/png.ts";
import { MAX_PICTURES } from "../../../serve/page/data/history_store.ts";
import { BITS, SCALES } from "../http/fake_maker.ts";
import { colourOf, pageTest } from "./with_page.ts";

const LARGE = ".view .picture";

pageTest(
  "The page offers what the model can do, and sends what is typed",
  async ({ page, maker, draw }) => {
    assertEquals(await page.locator("#size option").allTextContents(), ["8 × 8", "16 × 8"]);
    assertEquals(await page.locator(".model").textContent(), "squares");
    await page.getByLabel("Size").selectOption("16 × 8");
    await page.getByLabel("Negative prompt").fill("a circle");
    await page.getByLabel("Guidance").fill("4");
    await page.getByLabel("Temperature").fill("0.5, 0.6");
    await page.getByLabel("Seed").fill("18446744073709551615");
    assert(!await page.getByLabel("Random").isChecked());
    await draw("a square");
    const [{ prompt, seed, settings }] = maker.jobs as [typeof maker.jobs[0]];
    assertEquals({ prompt, seed }, { prompt: "a square", seed: "18446744073709551615" });
    assertEquals(settings, {
      negativePrompt: "a circle",
      width: 16,
      height: 8,
      cfgScale: 4,
      tau: [0.5, 0.6],
    });
  },
);

pageTest(
  "A random seed differs each time, and a kept one does not",
  async ({ page, maker, draw }) => {
    await draw("one");
    await draw("two");
    await page.getByLabel("Random").uncheck();
    await draw("three");
    const [one, two, three] = maker.jobs.map(({ seed }) => seed);
    assert(one !== two, `${one} twice`);
    assertEquals(two, three);
  },
);

pageTest("Wrong fields are said in words, and nothing is sent", async ({ page, maker, button }) => {
  await page.getByLabel("Temperature").fill("warm");
  await button("Generate").click();
  await page.locator("#prompt-fault", { hasText: "Say what the picture shows" }).waitFor();
  await page.getByText("A number, or one for each scale between commas").waitFor();
  assertEquals(
    await page.getByLabel("Prompt", { exact: true }).getAttribute("aria-invalid"),
    "true",
  );
  assertEquals(maker.jobs, []);
});

pageTest(
  "The picture grows scale by scale, and each scale is told and shown again",
  async ({ page, maker, button }) => {
    maker.held = true;
    maker.heldAt = 2;
    await page.getByLabel("Prompt", { exact: true }).fill("a square");
    await page.getByLabel("Seed").fill("7");
    await button("Generate").click();
    const scale = (number: number) => button(`Scale ${number} of ${SCALES}`);
    await page.getByRole("status").filter({ hasText: "Scale 2 of 4" }).waitFor();
    assertEquals(await colourOf(page.locator(LARGE)), [1, 7, 0, 255]);
    assert(await scale(3).isDisabled());
    maker.release();
    await page.getByRole("status").filter({ hasText: "Done: a square, seed 7" }).waitFor();
    assertEquals(await colourOf(page.locator(LARGE)), [SCALES, 7, 0, 255]);
    await scale(1).click();
    assertEquals(await colourOf(page.locator(LARGE)), [0, 7, 0, 255]);
    assertEquals(await scale(1).getAttribute("aria-pressed"), "true");
  },
);

pageTest(
  "Scales are kept, and the rest is drawn with another seed",
  async ({ page, maker, draw, button }) => {
    await page.getByLabel("Seed").fill("7");
    await draw("a square");
    assert(await button("Keep scales, redraw the rest").isDisabled());
    await button(`Scale 2 of ${SCALES}`).click();
    await button("Keep scales 1–2, redraw the rest").click();
    await page.locator(".gallery li").nth(1).waitFor();
    await button("Generate").waitFor();
    const { prompt, seed, settings } = maker.jobs[1]!;
    assertEquals(prompt, "a square");
    assert(seed !== "7");
    assertEquals(settings, { init: BITS.toBase64(), keepScales: 2 });
  },
);

pageTest(
  "Pictures of a request are side by side; two are compared",
  async ({ page, maker, draw, button }) => {
    await page.getByLabel("Pictures", { exact: true }).and(page.locator("input")).fill("4");
    await page.getByLabel("Seed").fill("5");
    await draw("squares");
    assertEquals(maker.jobs.map(({ seed }) => seed), ["5", "6", "7", "8"]);
    const grid = page.locator(".grid img");
    assertEquals(await Promise.all((await grid.all()).map(colourOf)), [
      [SCALES, 5, 0, 255],
      [SCALES, 6, 0, 255],
      [SCALES, 7, 0, 255],
      [SCALES, 8, 0, 255],
    ]);
    await button("Picture 2, seed 6").click();
    await button("Compare").click();
    await page.locator(".gallery").getByRole("button", { name: "squares, seed 8" }).click();
    assertEquals(await page.locator("figcaption").allTextContents(), [
      "squares, seed 6",
      "squares, seed 8",
    ]);
    await button("Compare").click();
    await button("Enlarge").click();
    assertEquals(await colourOf(page.locator(LARGE)), [SCALES, 8, 0, 255]);
  },
);

pageTest(
  "The history outlives a reload, and is deleted one by one and at once",
  async ({ page, draw, button }) => {
    for (const prompt of ["one", "two", "three"]) await draw(prompt);
    await page.reload();
    const names = () =>
      page.locator(".gallery button").evaluateAll((all) =>
        all.map((each) => each.getAttribute("aria-label")!.split(",")[0])
      );
    await page.locator(".gallery li").nth(2).waitFor();
    assertEquals(await names(), ["three", "two", "one"]);
    // the scales are kept too
    await page.locator(".gallery").getByRole("button", { name: /^two/ }).click();
    assertEquals(await page.locator(".strip img").count(), SCALES);
    await button("Delete").click();
    await page.locator(".gallery li").nth(2).waitFor({ state: "detached" });
    assertEquals(await names(), ["three", "one"]);
    await button("Delete all").click();
    await button("Delete all 2").click();
    await page.getByText("Pictures grow here").waitFor();
    await page.reload();
    await page.getByText("Pictures grow here").waitFor();
    assertEquals(await page.locator(".gallery").count(), 0);
  },
);

pageTest("The PNG that is downloaded carries its parameters", async ({ page, draw, button }) => {
  await page.getByLabel("Seed").fill("7");
  await draw("A red, round square");
  const [download] = await Promise.all([page.waitForEvent("download"), button("Download").click()]);
  assertEquals(download.suggestedFilename(), "a-red-round-square-7.png");
  const text = readPngText(await Deno.readFile((await download.path())!));
  assertEquals(text.parameters, `A red, round square\nSteps: ${SCALES}, Seed: 7`);
});

pageTest("The history keeps the latest pictures alone", async ({ page, draw }) => {
  await draw("old");
  // as many as are kept, by copies: the page's own database
  await page.evaluate(async (most) => {
    const done = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await done(indexedDB.open("bitwise"));
    const store = database.transaction("pictures", "readwrite").objectStore("pictures");
    const [picture] = await done(store.getAll());
    for (let i = 1; i < most; i++) {
      await done(store.put({ ...picture, id: `copy-${i}`, at: picture.at + i, group: `${i}` }));
    }
    database.close();
  }, MAX_PICTURES);
  await page.reload();
  const items = page.locator(".gallery li");
  await items.nth(MAX_PICTURES - 1).waitFor();
  await draw("new");
  await page.reload();
  await items.nth(MAX_PICTURES - 1).waitFor();
  assertEquals(await items.count(), MAX_PICTURES);
  assert((await items.first().getByRole("button").getAttribute("aria-label"))!.startsWith("new"));
});
