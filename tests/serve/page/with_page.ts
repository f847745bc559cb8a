/** The page in a real browser, from a server whose maker is a fake. */

import { assertEquals } from "@std/assert";
// deno-lint-ignore no-import-prefix -- a tool of tests alone
import type { Browser, BrowserContextOptions, Locator, Page } from "npm:playwright-core@1.65.1";
import { encodePng } from "../../../model/image/png.ts";
import { buildPage } from "../../../browser/build_page.ts";
import { chromium, launch } from "../../chromium.ts";
import { FakeMaker, type FakeServer, serveFake } from "../http/fake_maker.ts";

/** What a test sees. */
export interface OnPage {
  readonly page: Page;
  readonly server: FakeServer;
  readonly maker: FakeMaker;
  /** A button, by its name. */
  button(name: string | RegExp): Locator;
  /** Types a prompt, generates, and waits for the end. */
  draw(prompt: string): Promise<void>;
}

/** How the page is opened. */
export interface Opening {
  readonly token?: string;
  readonly maker?: FakeMaker;
  readonly context?: BrowserContextOptions;
  /** Files beside the page's, by their names. */
  readonly files?: Readonly<Record<string, string>>;
  /** Runs in the page before its own code. */
  readonly before?: string;
  /** Messages that the browser's console may have. */
  readonly expected?: RegExp;
}

/** What the tests of a file share. */
let shared: Promise<{ readonly browser: Browser; readonly folder: string }> | undefined;

async function share() {
  const folder = await Deno.makeTempDir();
  await buildPage(folder);
  return { browser: await launch(["--disable-gpu"]), folder };
}

Deno.test.afterAll(async () => {
  if (!shared) return;
  const { browser, folder } = await shared;
  await browser.close();
  await Deno.remove(folder, { recursive: true });
});

/** A test in a browser, which is not run where there is none. */
export function pageTest(name: string, test: (on: OnPage) => Promise<void>, opening?: Opening) {
  const missing = chromium() === null;
  Deno.test({
    name: missing ? `${name} (not run: Chromium is not installed)` : name,
    ignore: missing,
    fn: () => withPage(test, opening),
  });
}

async function withPage(
  test: (on: OnPage) => Promise<void>,
  { token, maker = new FakeMaker(), context: options, files = {}, before, expected }: Opening = {},
): Promise<void> {
  const { browser, folder } = await (shared ??= share());
  await using server = serveFake({ token, page: folder }, maker);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  for (const [name, body] of Object.entries(files)) {
    const contentType = "text/javascript";
    await page.route(`${server.url}/${name}`, (route) => route.fulfill({ body, contentType }));
  }
  page.setDefaultTimeout(20_000);
  const abroad: string[] = [];
  const said: string[] = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    const isOwn = origin === server.url || protocol === "data:" || protocol === "blob:";
    if (!isOwn) abroad.push(request.url());
  });
  page.on("pageerror", (error) => said.push(error.message));
  page.on("console", (message) => {
    // the engine is looked for, and is not there
    const isProbe = message.location().url.endsWith("/engine.js");
    if (message.type() === "error" && !isProbe && !expected?.test(message.text())) {
      said.push(message.text());
    }
  });
  if (before) await page.addInitScript(before);
  await page.goto(server.url);
  await page.locator(token ? "dialog" : ".model").waitFor();
  const button = (name: string | RegExp) =>
    page.getByRole("button", { name, exact: typeof name === "string" });
  await test({
    page,
    server,
    maker,
    button,
    draw: async (prompt) => {
      await page.getByLabel("Prompt", { exact: true }).fill(prompt);
      await button("Generate").click();
      await page.locator(".what", { hasText: prompt }).waitFor();
      await button("Generate").waitFor();
    },
  });
  await context.close();
  assertEquals({ abroad, said }, { abroad: [], said: [] });
}

/** The colour in the middle of a picture that is shown. */
export async function colourOf(picture: Locator): Promise<number[]> {
  return await picture.evaluate(async (image: HTMLImageElement) => {
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d")!;
    context.drawImage(image, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  });
}

/** A file for an input: a picture of one colour. */
export function pngFile(text: Record<string, string> = {}, side = 16) {
  const rgba = new Uint8Array(side * side * 4).fill(255);
  const bytes = encodePng(rgba, side, side, text);
  return { name: "picture.png", mimeType: "image/png", bytes };
}
