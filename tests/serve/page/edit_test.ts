/** Pictures to start from, masks, and settings that are read back. */

import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
// deno-lint-ignore no-import-prefix -- a tool of tests alone
import type { Page } from "npm:playwright-core@1.65.1";
import { openImage } from "../../../model/image/read_image.ts";
import { BITS, CARD, FakeMaker } from "../http/fake_maker.ts";
import { pageTest, pngFile } from "./with_page.ts";

const PARAMETERS =
  "red apple, ripe\nNegative prompt: worm\nSteps: 4, Sampler: Infinity, CFG scale: 2.5, Seed: 9007199254740993, Size: 16x8, Model: other, Tau: 0.7";

/** Drops or pastes a picture, as a user's hand would. */
async function give(page: Page, kind: "drop" | "paste", file: Uint8Array, zone?: string) {
  await page.evaluate(({ kind, bytes, zone }) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "picture.png", { type: "image/png" }));
    if (kind === "paste") {
      return void dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
    }
    const event = (type: string) =>
      new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event("dragover"));
    // the zones are there after the next frame
    requestAnimationFrame(() =>
      setTimeout(() => document.querySelector(`[data-drop=${zone}]`)!.dispatchEvent(event("drop")))
    );
  }, { kind, bytes: [...file], zone });
}

/** Where the mask of a job is white, row by row. */
async function maskOf(base64: string): Promise<{ width: number; white: number[][] }> {
  const { width, rgba } = await (await openImage(Uint8Array.fromBase64(base64), "mask")).image();
  const white: number[][] = [];
  for (let i = 0; i < rgba.length / 4; i++) {
    if (rgba[4 * i]! > 127) white.push([i % width, Math.floor(i / width)]);
  }
  return { width, white };
}

pageTest("A picture that is dropped is edited, with a strength", async ({ page, maker, draw }) => {
  const { bytes } = pngFile();
  await give(page, "drop", bytes, "open");
  await page.getByLabel("Strength").fill("0.4");
  await draw("a square");
  const { strength, init, mask, width } = maker.jobs[0]!.settings;
  assertEquals({ strength, mask, width }, { strength: 0.4, mask: undefined, width: 8 });
  assertEquals(init, bytes.toBase64());
});

pageTest(
  "A picture that is pasted is edited; one that is too large is made smaller",
  async ({ page, maker, draw }) => {
    await give(page, "paste", pngFile({}, 1500).bytes);
    await page.getByText("Start from a picture").waitFor();
    await draw("a square");
    const sent = await openImage(Uint8Array.fromBase64(maker.jobs[0]!.settings.init!), "init");
    assertEquals([sent.width, sent.height], [1024, 1024]);
  },
);

pageTest("A brush paints the mask, and erases it", async ({ page, maker, button, draw }) => {
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    button("Edit a picture").click(),
  ]);
  const { name, mimeType, bytes } = pngFile();
  await chooser.setFiles({ name, mimeType, buffer: Buffer.from(bytes) });
  const canvas = page.locator(".mask canvas");
  await canvas.scrollIntoViewIfNeeded();
  const box = (await canvas.boundingBox())!;
  const at = (x: number, y: number) =>
    [box.x + x / 16 * box.width, box.y + y / 16 * box.height] as const;
  await page.locator("#brush").fill("13");
  const line = async (y: number) => {
    await page.mouse.move(...at(2, y));
    await page.mouse.down();
    await page.mouse.move(...at(14, y), { steps: 4 });
    await page.mouse.up();
  };
  await line(4);
  await line(12);
  await button("Erase").click();
  await line(12);
  await page.getByText("painted: only that may change").waitFor();
  await draw("a square");
  const { width, white } = await maskOf(maker.jobs[0]!.settings.mask!);
  assertEquals(width, 16);
  assert(white.length >= 20, `${white.length} pixels`);
  assertEquals(white.filter(([, y]) => y! < 2 || y! > 6), []);
  await button("Clear").click();
  await page.getByText("Nothing painted").waitFor();
});

pageTest("Keys paint the mask", async ({ page, maker, draw }) => {
  await give(page, "paste", pngFile().bytes);
  await page.locator(".mask canvas").focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Space");
  await page.getByText("painted: only that may change").waitFor();
  await draw("a square");
  const { white } = await maskOf(maker.jobs[0]!.settings.mask!);
  assert(white.length > 0);
  assertEquals(white.filter(([x, y]) => x! > 4 || Math.abs(y! - 7.5) > 3), []);
});

pageTest(
  "A picture of the history is edited by its bits",
  async ({ page, maker, draw, button }) => {
    await draw("a square");
    await button("Edit").click();
    await page.getByText("Start from a picture").waitFor();
    await draw("a circle");
    const { init, strength, width } = maker.jobs[1]!.settings;
    assertEquals({ init, strength, width }, {
      init: BITS.toBase64(),
      strength: 0.75,
      width: undefined,
    });
    await button("Remove the picture").click();
    await draw("a line");
    assertEquals(maker.jobs[2]!.settings.init, undefined);
  },
);

pageTest(
  "A model that cannot read pictures edits its own alone",
  async ({ page, draw, button }) => {
    await give(page, "paste", pngFile().bytes);
    await page.getByRole("alert").filter({ hasText: "squares cannot read pictures" }).waitFor();
    await draw("a square");
    await button("Edit").click();
    await page.getByText("Start from a picture").waitFor();
  },
  { maker: new FakeMaker(Promise.resolve({ ...CARD, edits: false })) },
);

pageTest("Settings are read from a PNG that is dropped", async ({ page }) => {
  await give(page, "drop", pngFile({ parameters: PARAMETERS }).bytes, "read");
  await page.getByText("it was drawn by other").and(page.locator("p:not(.unseen)")).waitFor();
  const value = (label: string) => page.getByLabel(label, { exact: true }).inputValue();
  assertEquals(
    await Promise.all(
      ["Prompt", "Negative prompt", "Size", "Guidance", "Temperature", "Seed"].map(value),
    ),
    ["red apple, ripe", "worm", "16x8", "2.5", "0.7", "9007199254740993"],
  );
  assert(!await page.getByLabel("Random").isChecked());
});

pageTest("A PNG without settings is said to have none", async ({ page }) => {
  await give(page, "drop", pngFile().bytes, "read");
  await page.getByRole("alert").filter({ hasText: "not a PNG that carries" }).waitFor();
});

pageTest("A file that is not a picture is refused in words", async ({ page }) => {
  await give(page, "drop", new TextEncoder().encode("not a picture"), "open");
  await page.getByRole("alert").filter({ hasText: "not a picture that this browser" }).waitFor();
});

pageTest("text that comes with a picture of itself is pasted as text", async ({ page }) => {
  await page.locator("#prompt").focus();
  const taken = await page.evaluate((bytes) => {
    const data = new DataTransfer();
    data.setData("text/plain", "a cat");
    data.items.add(new File([new Uint8Array(bytes)], "p.png", { type: "image/png" }));
    const options = { clipboardData: data, bubbles: true, cancelable: true };
    const paste = new ClipboardEvent("paste", options);
    document.querySelector("#prompt")!.dispatchEvent(paste);
    return paste.defaultPrevented;
  }, [...pngFile().bytes]);
  assertEquals(taken, false);
});
