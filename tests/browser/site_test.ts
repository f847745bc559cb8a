/// <reference lib="dom" />

/** The static site in Chromium, as somebody who comes by uses it. */

import { assertEquals, assertMatch } from "@std/assert";
import { InfinityModel } from "../../mod.ts";
import { readPngText } from "../../model/image/png.ts";
import { openImage } from "../../model/image/read_image.ts";
import { chromium, launch } from "../chromium.ts";
import { NANO } from "../nano.ts";
import { assertSamePixels, openSite } from "./visit.ts";

const missing = chromium() === null;

Deno.test({
  name: `The static site draws a picture${missing ? " (ignored: there is no chromium)" : ""}`,
  ignore: missing,
  async fn() {
    await using site = await openSite();
    await using browser = await launch();
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", ({ message }) => problems.push(message));
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(site.url)) {
        problems.push(request.url());
      }
    });
    await page.goto(`${site.url}browser.html`);
    await page.getByLabel("Prompt").fill("purple cat, 猫");
    await page.getByLabel("Seed", { exact: true }).fill("18446744073709551615");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText("The model comes").waitFor();
    await page.getByText("Drawn in").waitFor();
    assertEquals(await page.locator("#scales canvas").count(), 5, "four scales, and the picture");
    // to look at
    const shot = Deno.env.get("BITWISE_SCREENSHOT");
    if (shot) await page.screenshot({ path: shot, fullPage: true });
    const downloading = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download PNG" }).click();
    const download = await downloading;
    assertEquals(download.suggestedFilename(), "18446744073709551615.png");
    const file = await Deno.readFile(await download.path());

    using model = await InfinityModel.load(NANO);
    const { images: [cat] } = await model.generate("purple cat, 猫", { seed: 2n ** 64n - 1n });
    const { rgba } = await (await openImage(file, "download")).image();
    assertSamePixels(rgba, cat!.rgba);
    assertEquals({ ...readPngText(file) }, { parameters: cat!.parameters });

    // a new seed, then stop at the first scale
    await page.getByRole("button", { name: "New seed" }).click();
    await page.getByLabel("Prompt").fill("red apple");
    await page.evaluate(() => {
      const watcher = new MutationObserver(() => {
        if (document.querySelector("#scales canvas")) document.getElementById("stop")!.click();
      });
      watcher.observe(document.getElementById("scales")!, { childList: true });
    });
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText("Stopped").waitFor();
    assertMatch(await page.getByLabel("Seed", { exact: true }).inputValue(), /^\d+$/);
    assertEquals(problems, []);
  },
});
