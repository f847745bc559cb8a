/** Keys, screen readers, colours and narrow screens. */

// deno-lint-ignore no-import-prefix -- a tool of tests alone
import axe from "npm:axe-core@4.14.1";
import { assert, assertEquals } from "@std/assert";
// deno-lint-ignore no-import-prefix -- a tool of tests alone
import type { Page } from "npm:playwright-core@1.65.1";
import { SCALES } from "../http/fake_maker.ts";
import { pageTest, pngFile } from "./with_page.ts";

/** What axe finds that is serious or critical. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Results> } };
    type Results = {
      violations: {
        id: string;
        impact: string;
        nodes: { html: string; failureSummary: string }[];
      }[];
    };
    const { violations } = await axe.run();
    return violations.filter(({ impact }) => /serious|critical/.test(impact))
      .flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`)
      );
  });
}

const SCREENS = [["a desk", 1280, 800], ["a phone", 360, 740]] as const;

for (const colorScheme of ["light", "dark"] as const) {
  for (const [screen, width, height] of SCREENS) {
    pageTest(
      `Axe finds nothing serious on ${screen}, ${colorScheme}, and nothing is too wide`,
      async ({ page, draw, button }) => {
        const check = async () => {
          assertEquals(await findings(page), []);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          assert(wide <= width, `${wide} pixels`);
        };
        await page.locator("#size option").first().waitFor({ state: "attached" });
        await check();
        await page.locator("#count").fill("2");
        await draw("a square");
        await button(`Scale 2 of ${SCALES}`).click();
        await check();
        await button("Edit").click();
        await page.getByText("Start from a picture").waitFor();
        await button("Compare").click();
        await check();
        await button("Shortcuts").click();
        await page.getByRole("dialog", { name: "Shortcuts" }).waitFor();
        await check();
      },
      {
        context: { viewport: { width, height }, colorScheme, reducedMotion: "reduce" },
      },
    );
  }
}

pageTest("Everything is done by keys", async ({ page, maker }) => {
  await page.keyboard.press("/");
  await page.keyboard.type("a square?");
  await page.keyboard.press("Control+Enter");
  await page.locator(".what", { hasText: "a square?" }).waitFor();
  await page.locator("#prompt").fill("a circle");
  await page.keyboard.press("Control+Enter");
  await page.locator(".what", { hasText: "a circle" }).waitFor();
  await page.getByRole("button", { name: "Generate" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.locator(".what", { hasText: "a square?" }).waitFor();
  await page.keyboard.press("ArrowUp");
  await page.locator(".what", { hasText: "a circle" }).waitFor();
  for (let i = 0; i < 2; i++) await page.keyboard.press("ArrowLeft");
  await page.getByText("Keep scales 1–2, redraw the rest").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.getByText("Keep scales 1–3, redraw the rest").waitFor();
  await page.keyboard.press("k");
  await maker.until(() => maker.jobs.length === 3);
  assertEquals(maker.jobs[2]!.settings.keepScales, 3);
  await page.locator(".gallery li").nth(2).waitFor();
  await page.getByRole("button", { name: "Generate" }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("d")]);
  assert(download.suggestedFilename().startsWith("a-circle-"));
  await page.keyboard.press("c");
  await page.locator("figcaption").nth(1).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("figcaption").first().waitFor({ state: "detached" });
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
});

pageTest("Colours and pixels are chosen, and stay chosen", async ({ page, button }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await button("Colours: as the system").click();
  await button("Colours: light").click();
  await button("Colours: dark").waitFor();
  assert(await ground() !== light);
  await button("Show pixels").click();
  await page.reload();
  assertEquals(await button("Show pixels").getAttribute("aria-pressed"), "true");
  assertEquals(await page.locator("html").getAttribute("data-pixels"), "true");
  assert(await ground() !== light);
}, { context: { colorScheme: "light" } });

pageTest("Focus is visible on every control", async ({ page }) => {
  await page.evaluate((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "picture.png", { type: "image/png" }));
    dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
  }, [...pngFile().bytes]);
  await page.getByText("Start from a picture").waitFor();
  const bare = await page.evaluate(() => {
    const controls = document.querySelectorAll<HTMLElement>(
      "button:enabled, input:not([type=file]), select, textarea, canvas",
    );
    return [...controls].filter((control) => {
      control.focus({ focusVisible: true } as FocusOptions);
      const shown = control.closest(".mask-view") ?? control;
      return getComputedStyle(shown).outlineStyle === "none";
    }).map((control) => control.outerHTML);
  });
  assertEquals(bare, []);
});
