import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { imageLimits } from "./flags/limits.ts";
import { OVERWRITE_FLAG, UPSCALE_FLAG } from "./flags/output_flags.ts";
import { path } from "./flags/types.ts";
import { note, outJson } from "./io/io.ts";
import { Output } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { decibels, table } from "./io/table.ts";
import { orAbort } from "../engine/mod.ts";

/** The image after a scale, compared with the original. */
interface Row {
  readonly grid: string;
  /** Bits of this scale and all before it. */
  readonly bits: number;
  readonly bitsPerPixel: number;
  /** In dB; null where nothing differs. */
  readonly psnr: number | null;
  readonly ssim: number;
}

/** `bitwise reconstruct`: how well the visual tokenizer keeps an image. */
export const reconstruct = command(
  {
    name: "reconstruct",
    summary: "Encodes an image, decodes it again, and measures what is lost at each scale.",
    words: "IMAGE",
    flags: {
      "output": { alias: "o", type: path, help: "PNG to write; - is stdout (output.png)" },
      ...OVERWRITE_FLAG,
      ...UPSCALE_FLAG,
      ...ENCODE_FLAGS,
      ...MODEL_FLAGS,
    },
    notes: [
      "PSNR and SSIM compare with the image as it was resized and cropped for the model.",
      "IMAGE may be - for stdin.",
      "Example: bitwise reconstruct apple.png -o again.png",
    ],
  },
  async (given, words, io) => {
    const options = encodeOptions(given);
    const { closeModel, openModel } = await import("./io/model.ts");
    const { encodeImage } = await import("../model/image/enlarge.ts");
    const { readInput } = await import("./io/images.ts");
    const file = onlyFile(words, "reconstruct", "image");
    const output = new Output(io, given);
    const target = await output.chooseOne(given.output ?? "output.png");
    const input = await readInput(file, io, imageLimits(given));
    if ("scales" in input) {
      throw new UsageError(`Cannot reconstruct "${file}": it is bits; decode them`);
    }

    using progress = new ProgressLine(io);
    const model = await openModel(given, io, progress);
    const began = performance.now();
    const { signal } = io;
    const bits = await orAbort(signal, model.encode(input, { ...options, signal }));
    const { width, height, schedule } = bits;
    const original = await originalOf(input, bits);
    const { bitCount, takeScales } = await import("../model/bits/image_bits.ts");
    const { gridText } = await import("../model/config/grid.ts");
    const { psnr, ssim } = await import("../model/image/metrics.ts");
    const rows: Row[] = [];
    let last;
    for (const [s, grid] of schedule.entries()) {
      progress.show(`Scale ${s + 1}/${schedule.length}`, s / schedule.length);
      const soFar = takeScales(bits, s + 1);
      const image = last = await orAbort(signal, model.decode(soFar, { signal }));
      const noise = psnr(image, original);
      rows.push({
        grid: gridText(grid),
        bits: bitCount(soFar),
        bitsPerPixel: bitCount(soFar) / width / height,
        psnr: Number.isFinite(noise) ? noise : null,
        ssim: ssim(image, original),
      });
    }
    const took = (performance.now() - began) / 1000;
    progress[Symbol.dispose]();
    const made = await encodeImage(last!, given.upscale);
    const written = await output.write(target, made.png);
    const { adapter } = model.device.capabilities;
    if (given.json) {
      const { grid: _, ...quality } = rows.at(-1)!;
      const size = { width: made.width, height: made.height };
      const run = { scales: rows, model: model.config.name, adapter, seconds: took };
      outJson(io, { path: written, ...size, ...quality, ...run });
    } else {
      output.print(written);
      for (const line of describe(rows)) output.print(line);
      note(io, `${width}x${height} pixels in ${seconds(took)} on ${adapter}`);
    }
    await closeModel(model, io);
    return 0;
  },
);

/** The image as the model sees it: resized and cropped. */
async function originalOf(
  input: Exclude<import("../model/generate/images/open_input.ts").OpenInput, { scales: unknown }>,
  bits: { readonly width: number; readonly height: number },
) {
  const { imageOf } = await import("../model/generate/images/image_input.ts");
  if ("rgb" in input) return imageOf(input.rgb, bits, "planes");
  return imageOf(await input.fit(bits.width, bits.height), bits, "pixels");
}

function describe(rows: readonly Row[]): string[] {
  const cells = rows.map(({ grid, bits, bitsPerPixel, psnr, ssim }, s) => [
    `${s + 1}`,
    grid,
    bits.toLocaleString("en"),
    bitsPerPixel.toFixed(3),
    decibels(psnr),
    ssim.toFixed(4),
  ]);
  return table(["scale", "grid", "bits so far", "bits/pixel", "PSNR dB", "SSIM"], cells);
}
