/** Headless Chromium for tests: Debian's, driven by playwright-core. */

// deno-lint-ignore no-import-prefix -- a tool of tests alone
import { type Browser, chromium as driver } from "npm:playwright-core@1.65.1";

/** What makes WebGPU work in it on a machine without a GPU, and keeps it from asking the internet anything. */
const ARGUMENTS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--use-webgpu-adapter=swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Where it may be. */
const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of the browser; null if there is none, so that a test can say why it is ignored. */
export function chromium(): string | null {
  return PATHS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  }) ?? null;
}

/** Starts the browser. Close it at the end. */
export async function launch(args: readonly string[] = []): Promise<Browser> {
  return await driver.launch({
    executablePath: chromium()!,
    args: [...ARGUMENTS, ...args],
  });
}
