import { command } from "./command.ts";
import { GPU_FLAG } from "./flags/gpu.ts";
import { MODEL_HELP, OVERWRITE_FLAG } from "./flags/output_flags.ts";
import { chosenSeed, integerFrom, oneOf, path, seed } from "./flags/types.ts";
import { note } from "./io/io.ts";
import { Output } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { contactSheet } from "../model/image/sheet.ts";
import { WEIGHT_TYPES } from "../kernels/linear/weight_types.ts";
import { orAbort } from "../engine/mod.ts";

const PROMPTS = [
  "a red apple",
  "a pink car",
  "a green frog",
  "three stars",
  "a penguin in the snow",
  "a black cat on a yellow background",
  "a sunflower",
  "a cat and a dog",
];
const COLUMNS = 4;

/** `bitwise demo`: a few prompts as one PNG. */
export const demo = command(
  {
    name: "demo",
    summary: "Generates eight images side by side.",
    words: "",
    flags: {
      "output": { alias: "o", type: path, help: "PNG to write; - is stdout (bitwise-demo.png)" },
      ...OVERWRITE_FLAG,
      "upscale": {
        type: integerFrom(1, 32),
        help: "Enlarge images N times (as far as fits 128 pixels)",
      },
      "seed": { alias: "s", type: seed, help: "Seed of the first image, -1 for a random one" },
      "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
      "type": {
        type: oneOf(...WEIGHT_TYPES),
        help: "Storage of weights and cache (f32, or as stored)",
      },
      ...GPU_FLAG,
    },
    notes: [`The prompts: ${PROMPTS.join(", ")}.`],
  },
  async (given, _words, io) => {
    const output = new Output(io, given);
    const target = await output.chooseOne(given.output ?? "bitwise-demo.png");
    const { chooseModel, closeModel, loadModel } = await import("./io/model.ts");
    using progress = new ProgressLine(io);
    const model = await loadModel(await chooseModel(given, io), given, io, progress);
    const { images, seconds: took } = await orAbort(
      io.signal,
      model.generate({
        prompt: PROMPTS,
        seed: chosenSeed(given.seed),
        signal: io.signal,
        onProgress: ({ stage, scale, scales, height, width, seconds: at }) =>
          progress.show(
            stage === "decode"
              ? `Decoded ${PROMPTS.length} images of ${width}x${height}, ${seconds(at)}`
              : `Scale ${scale + 1}/${scales}: ${height}x${width} tokens, ${seconds(at)}`,
            Math.min(1, (scale + 1) / (scales + 1)),
          ),
      }),
    );
    const { encodeImage } = await import("../model/image/enlarge.ts");
    const { png } = await encodeImage(contactSheet(images, COLUMNS, given.upscale));
    progress[Symbol.dispose]();
    output.print(await output.write(target, png));
    note(io, `${seconds(took.total)} on ${model.device.capabilities.adapter}`);
    await closeModel(model, io);
    return 0;
  },
);
