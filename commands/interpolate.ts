import { help, parseFlags, path, seed, type Spec, UsageError, whole } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS } from "./flags/image_flags.ts";
import { type Io, orAbort } from "./io/io.ts";
import { checkWritable, outputPaths } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { contactSheet } from "./io/sheet.ts";

const { scales: _, ...SIZE } = ENCODE_FLAGS;

const SPEC = {
  name: "interpolate",
  summary: "Draws images between two, whose bits turn from the one's to the other's.",
  words: "FROM TO",
  flags: {
    "output": { alias: "o", type: path, help: "PNGs to write, numbered (output.png)" },
    "steps": { type: whole, help: "Images, both ends counted (8)" },
    "seed": { alias: "s", type: seed, help: "Order in which bits turn (0)" },
    "sheet": { type: path, help: "Write them side by side" },
    "animate": { type: path, help: "Write them as an animated PNG, there and back" },
    ...SIZE,
    ...MODEL_FLAGS,
  },
  notes: [
    "FROM and TO are images or bits; bits must have the same scales.",
    "Example: bitwise interpolate cat.png dog.png --steps 9 --animate between.png",
  ],
} as const satisfies Spec;

/** More images than anybody looks at: a mistyped number is told so at once. */
const MAX_STEPS = 999;
/** Images in a row of a sheet. */
const COLUMNS = 8;
/** How long an image of an animation is shown, and the ends of it, in milliseconds. */
const SHOWN = 120;
const SHOWN_END = 800;

/** `bitwise interpolate`: images between two images' bits. */
export async function interpolate(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const { steps = 8, output = "output.png", sheet, animate } = given;
  const [from, to] = words;
  if (from === undefined || to === undefined || words.length > 2) {
    const found = words.length === 1 ? "1 image" : `${words.length} images`;
    throw new UsageError(`Cannot interpolate ${found}: give two`);
  }
  if (steps < 2 || steps > MAX_STEPS) {
    throw new UsageError(`Cannot make ${steps} steps: --steps must be 2 to ${MAX_STEPS}`);
  }
  const options = encodeOptions(given);
  const files = outputPaths(output, steps);
  const extra = [sheet, animate].filter((file) => file !== undefined)
    .flatMap((file) => outputPaths(file, 1));
  const { asBits, loadModel, readInput } = await import("./io/images.ts");
  const inputs = [await readInput(from), await readInput(to)] as const;
  for (const file of [...files, ...extra]) await checkWritable(file);

  using progress = new ProgressLine(io);
  const model = await loadModel(given, io, progress);
  const began = performance.now();
  const { signal } = io;
  const { interpolateBits } = await import("../model/bits/image_bits.ts");
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  // bits that are given, or else the first image, decide what the other is cut to
  const cut = "scales" in inputs[1] ? { schedule: inputs[1].schedule } : options;
  const a = await asBits(model, inputs[0], io, cut);
  const b = await asBits(model, inputs[1], io, { schedule: a.schedule });
  const between = files.map((_, i) => interpolateBits(a, b, i / (steps - 1), given.seed));
  const images = await orAbort(signal, model.decode(between, { signal }));
  const took = (performance.now() - began) / 1000;
  progress[Symbol.dispose]();
  for (const [i, file] of files.entries()) {
    await writeFileAtomic(file, images[i]!.toPng(), { signal });
  }
  if (sheet !== undefined) {
    const { encodePng } = await import("../model/image/png.ts");
    const { rgba, width, height } = contactSheet(images, Math.min(COLUMNS, steps));
    await writeFileAtomic(sheet, encodePng(rgba, width, height), { signal });
  }
  if (animate !== undefined) {
    const { encodeApng } = await import("../model/image/apng.ts");
    const frames = [...images, ...images.slice(1, -1).reverse()];
    const delays = frames.map((_, i) => i === 0 || i === steps - 1 ? SHOWN_END : SHOWN);
    await writeFileAtomic(animate, encodeApng(frames, delays), { signal });
  }
  const { adapter } = model.device.capabilities;
  if (given.json) {
    const { width, height } = images[0]!;
    const report = { paths: files, sheet, animation: animate, width, height };
    io.out(JSON.stringify({ ...report, model: model.config.name, adapter, seconds: took }));
  } else {
    for (const file of [...files, ...extra]) io.out(file);
    io.err(`${steps} images in ${seconds(took)} on ${adapter}\n`);
  }
  model.dispose();
  return 0;
}
