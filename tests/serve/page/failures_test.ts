/** What goes wrong, and what users can do then. */

import { assertEquals } from "@std/assert";
import { pageTest } from "./with_page.ts";

const STATUS = /status of (400|401|429|500)|ERR_CONNECTION/;

pageTest(
  "Escape cancels, which the server hears; the history keeps what is complete",
  async ({ page, maker, button }) => {
    maker.held = true;
    await page.getByLabel("Prompt", { exact: true }).fill("a square");
    await button("Generate").click();
    await button("Cancel").waitFor();
    await maker.until(() => maker.waiting === 1);
    await page.keyboard.press("Escape");
    await maker.until(() => maker.aborted === 1);
    await page.getByRole("status").filter({ hasText: "Cancelled" }).waitFor();
    await button("Generate").waitFor();
    await page.getByText("Pictures grow here").waitFor();
  },
);

pageTest("A full queue is said, and Try again draws", async ({ page, maker, button }) => {
  maker.queue = 0;
  await page.getByLabel("Prompt", { exact: true }).fill("a square");
  await button("Generate").click();
  const alert = page.getByRole("alert");
  await alert.filter({ hasText: /Probably room in \d+ s/ }).waitFor();
  maker.queue = 64;
  await button("Try again").click();
  await page.locator(".what", { hasText: "a square" }).waitFor();
  assertEquals(await alert.textContent(), "");
}, { expected: STATUS });

pageTest("What the server refuses is shown in its words", async ({ page, button }) => {
  await page.getByLabel("Prompt", { exact: true }).fill("wrong");
  await button("Generate").click();
  await page.getByRole("alert").filter({ hasText: "Cannot draw: it is wrong." }).waitFor();
  await button("Close the message").click();
  assertEquals(await page.getByRole("alert").textContent(), "");
}, { expected: STATUS });

pageTest("A server that is gone is said to be", async ({ page, button }) => {
  await page.route("**/v1/images/generations", (route) => route.abort("connectionrefused"));
  await page.getByLabel("Prompt", { exact: true }).fill("a square");
  await button("Generate").click();
  await page.getByRole("alert").filter({ hasText: "Cannot reach the server" }).waitFor();
}, { expected: STATUS });

pageTest("The token is asked for, and kept for the tab alone", async ({ page, draw }) => {
  const dialog = page.getByRole("dialog", { name: "The server wants its token" });
  await dialog.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "without the server's token" }).waitFor();
  for (const bad of ["“secret”", "sec ret", "sécret"]) {
    await dialog.getByLabel("Token").fill(bad);
    await page.keyboard.press("Enter");
    assertEquals(await dialog.isVisible(), true);
    assertEquals(
      await page.evaluate(() => JSON.stringify(Object.values(sessionStorage))),
      '["wrong"]',
    );
  }
  await dialog.getByLabel("Token").fill(" secret ");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "hidden" });
  await draw("a square");
  await page.reload();
  await page.locator("#size option").first().waitFor({ state: "attached" });
  assertEquals(await page.evaluate(() => JSON.stringify(localStorage)), "{}");
}, { token: "secret", expected: STATUS });

/** An engine that draws in the tab, in place of the bundle. */
const ENGINE = `
  export const whyNot = async () => null;
  export const openTab = async ({ modelUrl, onProgress }) => {
    onProgress({ stage: "download", file: "config.json", done: 1, total: 2 });
    const picture = (red) => {
      const rgba = new Uint8Array(4 * 4 * 4).fill(255);
      for (let i = 0; i < rgba.length; i += 4) rgba.set([red, 20, 30], i);
      return { width: 4, height: 4, rgba };
    };
    return {
      card: Promise.resolve({
        name: "in the tab", sizes: [{ width: 4, height: 4, schedule: [[1, 1]] }],
        defaults: { cfgScale: 1, tau: 1 }, edits: true,
      }),
      async make(job, { onScale }) {
        globalThis.job = job;
        onScale({ scale: 0, scales: 2, image: picture(1) });
        onScale({ scale: 1, scales: 2, image: picture(2) });
        return { ...picture(2), bits: new Uint8Array([1, 2]),
          parameters: job.prompt + " ü\\nSteps: 2, Seed: " + job.seed + ", Size: 4x4" };
      },
      async close() {},
    };
  };
`;

pageTest(
  "The switch runs the engine in the tab, and back",
  async ({ page, maker, draw, button }) => {
    const tab = page.getByRole("switch", { name: "Run in this tab" });
    await tab.click();
    await page.locator(".model", { hasText: "in the tab" }).waitFor();
    assertEquals(await tab.getAttribute("aria-checked"), "true");
    await draw("a square");
    assertEquals(maker.jobs, []);
    assertEquals(await page.locator(".strip img").count(), 2);
    await button("Use settings").click();
    assertEquals(await page.getByLabel("Prompt", { exact: true }).inputValue(), "a square ü");
    await button("Scale 1 of 2").click();
    await button("Keep scale 1, redraw the rest").click();
    await page.locator(".gallery li").nth(1).waitFor();
    const settings = await page.evaluate(() =>
      (globalThis as unknown as Window & { job: { settings: unknown } }).job.settings
    );
    assertEquals(settings, { init: "AQI=", keepScales: 1 });
    await tab.click();
    await page.locator(".model", { hasText: "squares" }).waitFor();
  },
  {
    files: { "engine.js": ENGINE, "model/config.json": "{}" },
    before: 'Object.defineProperty(navigator, "gpu", { value: {} })',
  },
);

pageTest("The switch says why it cannot be used", async ({ page }) => {
  const tab = page.getByRole("switch", { name: "Run in this tab" });
  await page.getByText(/No engine on this server|This browser has no WebGPU/).waitFor();
  assertEquals(await tab.isDisabled(), true);
});
