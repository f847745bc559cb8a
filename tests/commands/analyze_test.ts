import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { analyze } from "../../commands/analyze.ts";
import { decodePng } from "../decode_png.ts";
import { encodePng } from "../../model/image/png.ts";
import { fakeIo, inFolder, MODEL, NO_GPU, refuses } from "./process.ts";

/** The corners of two images of 96x96 in samples.png: an apple and a butterfly. */
const TILES = { "apple.png": [0, 0], "butterfly.png": [416, 118] } as const;

/** Writes the tiles to files, and runs a test with them. */
function withTiles(test: (file: (name: string) => string) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    const sheet = decodePng(await Deno.readFile(join(MODEL, "samples.png")));
    for (const [name, [x, y]] of Object.entries(TILES)) {
      const rgba = new Uint8Array(96 * 96 * 4);
      for (let row = 0; row < 96; row++) {
        const at = ((y + row) * sheet.width + x) * 4;
        rgba.set(sheet.rgba.subarray(at, at + 96 * 4), row * 96 * 4);
      }
      await Deno.writeFile(join(folder, name), encodePng(rgba, 96, 96));
    }
    await test((name) => join(folder, name));
  });
}

Deno.test("analyze() prints a row per scale, and a legend", () =>
  withTiles(async (file) => {
    const io = fakeIo();
    const files = Object.keys(TILES).map(file);
    const options = ["--flips", "0.01,0.25", "--trials", "1"];
    assertEquals(await analyze([...files, ...options], io), 0);
    const lines = io.text().trimEnd().split("\n");
    assertEquals(lines.length, 6, io.text());
    const cells = lines.slice(0, 5).map((line) => line.trim().split(/ {2,}/));
    assertEquals(
      cells[0],
      "scale,grid,bits,ones %,entropy,so far dB,flip 1% dB,flip 25% dB".split(","),
    );
    assertEquals(
      cells.slice(1).map((row) => row.slice(0, 3).join(" ")),
      ["1 1x1 32", "2 2x2 128", "3 3x3 288", "4 4x4 512"],
    );
    const numbers = cells.slice(1).map((row) => row.slice(3).map(Number));
    assertEquals(cells[4]![5], "equal");
    const soFar = numbers.slice(0, 3).map((row) => row[2]!);
    assertEquals(soFar, soFar.toSorted((a, b) => a - b), "each scale must help");
    for (const [ones, entropy, _, few, many] of numbers) {
      assert(ones! > 20 && ones! < 80 && entropy! > 0 && entropy! <= 1, io.text());
      assert(few! > many! + 3 && many! > 10, io.text());
    }
    assertMatch(lines[5]!, /^2 images; .*\(2 samples a channel at scale 1\).*\(1 trial\)$/);
    assertMatch(io.errors(), /\nEncoded 2 of 2 images\n(.*\n)*Decoded 24 of 24 images\n/);
  }));

Deno.test("analyze() prints JSON, and takes bits as the images they were", () =>
  withTiles(async (file) => {
    const bits = file("apple.safetensors");
    assertEquals(await main(["encode", file("apple.png"), "-o", bits], fakeIo()), 0);
    const run = async (...args: string[]) => {
      const io = fakeIo();
      assertEquals(await main(["analyze", ...args, "--json", "--trials", "1"], io), 0, io.errors());
      return JSON.parse(io.text());
    };
    const images = await run(file("apple.png"), file("butterfly.png"), "--flips", "0.05");
    const mixed = await run(bits, file("butterfly.png"), "--flips", "0.05");
    assertEquals(mixed.scales, images.scales);
    assertEquals(images.files, Object.keys(TILES).map(file));
    const { model, width, d, latent, trials, seed } = images;
    assertEquals([model, width, d, latent, trials, seed], ["emoji-nano", 32, 32, "4x4", 1, 0]);
    const columns = (key: string) => images.scales.map((row: Record<string, unknown>) => row[key]);
    assertEquals(columns("grid"), ["1x1", "2x2", "3x3", "4x4"]);
    assertEquals(columns("samples"), [2, 8, 18, 32]);
    assertEquals(columns("upTo")[3], null);
    assertEquals(columns("flips").map(([{ flips }]: [{ flips: number }]) => flips), [2, 7, 15, 26]);

    const large = `${2n ** 64n - 1n}`;
    const other = await run(bits, "--flips", "0.05", "-s", large);
    assertEquals([other.seed, other.scales[0].entropy], [large, 0]);
  }));

Deno.test("analyze() refuses with one line", async () => {
  const say = "give images, or bits files";
  await refuses(["analyze"], 2, `Cannot analyze without a file: ${say}`, NO_GPU);
  await refuses(["analyze", "/nope.png"], 1, 'Cannot read "/nope.png": no such file', NO_GPU);
  for (const flips of ["0", "1.5", "0.1,", "much"]) {
    const message = `Cannot read --flips "${flips}": it must be shares above 0, at most 1`;
    await refuses(["analyze", "x.png", "--flips", flips], 2, message, NO_GPU);
  }
  const message = 'Cannot read --trials "0": it must be a whole number from 1';
  await refuses(["analyze", "x.png", "--trials", "0"], 2, message, NO_GPU);
});

Deno.test("analyze() refuses bits whose scales differ, and can be interrupted", () =>
  withTiles(async (file) => {
    const [whole, coarse] = [file("whole.safetensors"), file("coarse.safetensors")];
    const encode = ["encode", file("apple.png"), "-o"];
    assertEquals(await main([...encode, whole], fakeIo()), 0);
    assertEquals(await main([...encode, coarse, "--scales", "2"], fakeIo()), 0);
    const io = fakeIo();
    assertEquals(await main(["analyze", whole, coarse], io), 2);
    assertEquals(io.text(), "");
    assertEquals(
      io.errors().trimEnd().split("\n").at(-1),
      `error: Cannot analyze "${whole}" and "${coarse}" together: one has the scales ` +
        "1x1,2x2,3x3,4x4, the other 1x1,2x2",
    );

    const controller = new AbortController();
    const told = fakeIo();
    const err = (text: string) => {
      told.err(text);
      if (text.startsWith("Decoded")) controller.abort();
    };
    assertEquals(await main(["analyze", whole], { ...told, err, signal: controller.signal }), 130);
    assertStringIncludes(told.errors(), "Decoded 1 of 28 images\nInterrupted\n");
    assertEquals(told.text(), "");
  }));
