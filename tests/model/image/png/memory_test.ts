import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";
import { makePng } from "./png_files.ts";

const [WIDTH, HEIGHT] = [8000, 6000];

/** The compressed lines of 48 megapixels of RGB. */
function linesOf48Megapixels(): Uint8Array {
  const line = Uint8Array.from({ length: 1 + 3 * WIDTH }, (_, i) => i === 0 ? 4 : i * i >> 9 & 3);
  return deflateSync(Buffer.alloc(line.length * HEIGHT, line), { level: 1 });
}

/** Fits a file to 1024x1024 in a process of its own. Returns by how many bytes its memory grew. */
async function growth(file: string): Promise<number> {
  const code = `
    import { openImage } from ${
    JSON.stringify(import.meta.resolve("../../../../model/image/read_image.ts"))
  };
    import { encodePng } from ${
    JSON.stringify(import.meta.resolve("../../../../model/image/png.ts"))
  };
    const small = await openImage(encodePng(new Uint8Array(64 * 64 * 4), 64, 64), "small");
    await small.fit(1024, 1024);
    const before = Deno.memoryUsage().rss;
    let most = before;
    const timer = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss), 5);
    const image = await openImage(await Deno.readFile(${JSON.stringify(file)}), "large");
    await image.fit(1024, 1024);
    clearInterval(timer);
    console.log(Math.max(most, Deno.memoryUsage().rss) - before);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--allow-read", "--ext=ts", "-"],
    cwd: new URL("../../../..", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  await new Blob([code]).stream().pipeTo(child.stdin);
  const { success, stdout } = await child.output();
  assertEquals(success, true);
  return Number(new TextDecoder().decode(stdout));
}

Deno.test("openPng() takes 48 megapixels in little more memory than their file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "large.png");
    const lines = linesOf48Megapixels();
    const plan = { width: 1, height: 1, claims: [WIDTH, HEIGHT] as const };
    await Deno.writeFile(file, makePng({ ...plan, pieces: () => [lines] }));
    const { size } = await Deno.stat(file);
    const grown = await growth(file);
    // decoded, it would take 192 MB
    assert(grown < size + 100e6, `${grown} bytes for a file of ${size}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
