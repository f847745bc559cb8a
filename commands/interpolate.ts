import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS } from "./flags/image_flags.ts";
import { imageLimits } from "./flags/limits.ts";
import { NUMBER_FLAGS, UPSCALE_FLAG } from "./flags/output_flags.ts";
import { chosenSeed, integer, path, seed } from "./flags/types.ts";
import { enlarge, type Pixels } from "../model/image/enlarge.ts";
import { note, outJson } from "./io/io.ts";
import { Output } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { contactSheet } from "../model/image/sheet.ts";
import { orAbort } from "../engine/mod.ts";

const { scales: _, ...SIZE } = ENCODE_FLAGS;
/** Flags of images alone: bits have a size and scales. */
const OF_IMAGES = ["width", "height", "vae-schedule"] as const;

/** The most images: a mistyped number is refused at once. */
const MAX_STEPS = 999;
/** Images in a row of a sheet. */
const COLUMNS = 8;
/** How long an image of an animation is shown, and each end of it, in milliseconds. */
const SHOWN = 120;
const SHOWN_END = 800;
/** Images that are decoded together. */
const BATCH = 8;

/** `bitwise interpolate`: images between two images' bits. */
export const interpolate = command(
  {
    name: "interpolate",
    summary: "Decodes images between two: more and more bits of the first become the second's.",
    words: "FROM TO",
    flags: {
      ...NUMBER_FLAGS,
      "steps": { type: integer, help: "Number of images, both ends included (8)" },
      "seed": {
        alias: "s",
        type: seed,
        help: "Seed of the order in which bits change, -1 for a random one (0)",
      },
      "sheet": { type: path, help: "Also write the images side by side" },
      "animate": { type: path, help: "Also write them as an animated PNG, there and back" },
      ...UPSCALE_FLAG,
      ...SIZE,
      ...MODEL_FLAGS,
    },
    notes: [
      "FROM and TO are images or bits; bits must have the same scales. One of them may be -, stdin.",
      "Example: bitwise interpolate apple.png pizza.png --steps 9 --animate between.png",
    ],
  },
  async (given, words, io) => {
    const { steps = 8 } = given;
    const [from, to] = words;
    if (from === undefined || to === undefined || words.length > 2) {
      const found = words.length === 1 ? "1 image" : `${words.length} images`;
      throw new UsageError(`Cannot interpolate ${found}: give two`);
    }
    if (steps < 2 || steps > MAX_STEPS) {
      throw new UsageError(`Cannot make ${steps} images: --steps must be 2 to ${MAX_STEPS}`);
    }
    const options = encodeOptions(given);
    const output = new Output(io, given);
    const naming = { count: steps, begin: given["output-begin-idx"] };
    const targets = await output.choose(given.output ?? "output.png", naming);
    const sheetTarget = given.sheet === undefined ? null : await output.chooseOne(given.sheet);
    const animateTarget = given.animate === undefined
      ? null
      : await output.chooseOne(given.animate);
    const { closeModel, openModel } = await import("./io/model.ts");
    const { encodeImage } = await import("../model/image/enlarge.ts");
    const { asBits, readInput } = await import("./io/images.ts");
    const limits = imageLimits(given);
    const inputs = [await readInput(from, io, limits), await readInput(to, io, limits)] as const;
    const sized = OF_IMAGES.find((name) => given[name] !== undefined);
    if (sized && inputs.some((input) => "scales" in input)) {
      throw new UsageError(`Cannot use --${sized} with bits: they have a size and scales`);
    }

    using progress = new ProgressLine(io);
    const model = await openModel(given, io, progress);
    const began = performance.now();
    const { signal } = io;
    const { interpolateBits } = await import("../model/bits/image_bits.ts");
    // bits that are given, or else the first image, decide what the other image is cut to
    const cut = "scales" in inputs[1] ? { schedule: inputs[1].schedule } : options;
    const a = await asBits(model, inputs[0], io, cut);
    const b = await asBits(model, inputs[1], io, { schedule: a.schedule });
    const order = chosenSeed(given.seed);
    const images: Pixels[] = [];
    const paths: string[] = [];
    for (let first = 0; first < steps; first += BATCH) {
      const count = Math.min(BATCH, steps - first);
      const between = Array.from(
        { length: count },
        (_, i) => interpolateBits(a, b, (first + i) / (steps - 1), order),
      );
      for (const image of await orAbort(signal, model.decode(between, { signal }))) {
        const { png } = await encodeImage(image, given.upscale);
        paths.push(await output.write(targets[paths.length]!, png));
        if (sheetTarget || animateTarget) images.push(image);
      }
      progress.show(`Decoded ${paths.length} of ${steps} images`, paths.length / steps);
    }
    const took = (performance.now() - began) / 1000;
    progress[Symbol.dispose]();
    let sheet, animation;
    if (sheetTarget) {
      const made = contactSheet(images, Math.min(COLUMNS, steps), given.upscale);
      sheet = await output.write(sheetTarget, (await encodeImage(made)).png);
    }
    if (animateTarget) {
      const { encodeApng } = await import("../model/image/apng.ts");
      const frames = [...images, ...images.slice(1, -1).reverse()]
        .map((image) => enlarge(image, given.upscale ?? 1));
      const delays = frames.map((_, i) => i === 0 || i === steps - 1 ? SHOWN_END : SHOWN);
      animation = await output.write(animateTarget, encodeApng(frames, delays));
    }
    const { adapter } = model.device.capabilities;
    if (given.json) {
      const [height, width] = [a.height, a.width].map((n) => n * (given.upscale ?? 1));
      const report = { paths, sheet, animation, width, height };
      outJson(io, { ...report, model: model.config.name, adapter, seconds: took });
    } else {
      for (const file of [...paths, sheet, animation]) if (file) output.print(file);
      note(io, `${steps} images in ${seconds(took)} on ${adapter}`);
    }
    await closeModel(model, io);
    return 0;
  },
);
