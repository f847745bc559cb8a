import { help, parseFlags, path, type Spec, UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { type Io, orAbort } from "./io/io.ts";
import { checkWritable, outputPaths } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { decibels, table } from "./io/table.ts";

const SPEC = {
  name: "reconstruct",
  summary: "Encodes an image and decodes it again, and says what is lost at each scale.",
  words: "IMAGE",
  flags: {
    "output": { alias: "o", type: path, help: "PNG to write (output.png)" },
    ...ENCODE_FLAGS,
    ...MODEL_FLAGS,
  },
  notes: [
    "PSNR and SSIM compare with the image as it was resized and cut for the model.",
    "Example: bitwise reconstruct cat.jpg -o again.png",
  ],
} as const satisfies Spec;

/** The image after a scale, against the original. */
interface Row {
  readonly grid: string;
  /** Bits of this scale and all before. */
  readonly bits: number;
  readonly bitsPerPixel: number;
  /** dB; null where nothing differs. */
  readonly psnr: number | null;
  readonly ssim: number;
}

/** `bitwise reconstruct`: how good the visual tokenizer is on an image. */
export async function reconstruct(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const [output = ""] = outputPaths(given.output ?? "output.png", 1);
  const options = encodeOptions(given);
  const { loadModel, readInput } = await import("./io/images.ts");
  const { fitImage } = await import("../model/image/resize.ts");
  const { imageOf } = await import("../model/generate/image_input.ts");
  const { bitCount, takeScales } = await import("../model/bits/image_bits.ts");
  const { gridText } = await import("../model/config/grid.ts");
  const { psnr, ssim } = await import("../model/image/metrics.ts");
  const file = onlyFile(words, "reconstruct", "image");
  const input = await readInput(file);
  if ("scales" in input) {
    throw new UsageError(`Cannot reconstruct "${file}": it is bits; decode them`);
  }
  await checkWritable(output);

  using progress = new ProgressLine(io);
  const model = await loadModel(given, io, progress);
  const began = performance.now();
  const { signal } = io;
  const bits = await orAbort(signal, model.encode(input, { ...options, signal }));
  const { width, height, schedule } = bits;
  const original = "rgb" in input
    ? imageOf(input.rgb, bits, "planes")
    : imageOf(fitImage(input, width, height), bits, "pixels");
  const rows: Row[] = [];
  let png: Uint8Array = new Uint8Array();
  for (const [s, grid] of schedule.entries()) {
    progress.show(`Scale ${s + 1}/${schedule.length}`);
    const so = takeScales(bits, s + 1);
    const image = await orAbort(signal, model.decode(so, { signal }));
    png = image.toPng();
    const noise = psnr(image, original);
    rows.push({
      grid: gridText(grid),
      bits: bitCount(so),
      bitsPerPixel: bitCount(so) / width / height,
      psnr: Number.isFinite(noise) ? noise : null,
      ssim: ssim(image, original),
    });
  }
  const took = (performance.now() - began) / 1000;
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  progress[Symbol.dispose]();
  await writeFileAtomic(output, png, { signal });
  const { adapter } = model.device.capabilities;
  if (given.json) {
    const { bits, bitsPerPixel, psnr, ssim } = rows.at(-1)!;
    const last = { bits, bitsPerPixel, psnr, ssim };
    const name = model.config.name;
    io.out(JSON.stringify({
      path: output,
      width,
      height,
      ...last,
      scales: rows,
      model: name,
      adapter,
      seconds: took,
    }));
  } else {
    io.out(output);
    const cells = rows.map(({ grid, bits, bitsPerPixel, psnr, ssim }, s) => [
      `${s + 1}`,
      grid,
      bits.toLocaleString("en"),
      bitsPerPixel.toFixed(3),
      decibels(psnr),
      ssim.toFixed(4),
    ]);
    const heads = ["scale", "grid", "bits so far", "bits/pixel", "PSNR dB", "SSIM"];
    for (const line of table(heads, cells)) io.out(line);
    io.err(`${width}x${height} pixels in ${seconds(took)} on ${adapter}\n`);
  }
  model.dispose();
  return 0;
}
