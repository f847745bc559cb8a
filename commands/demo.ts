import {
  drawnSeed,
  help,
  oneOf,
  parseFlags,
  path,
  seed,
  type Spec,
  UsageError,
} from "./flags/flags.ts";
import { GPU_FLAG, implementation } from "./flags/gpu.ts";
import { type Io, orAbort } from "./io/io.ts";
import { checkWritable, outputPaths } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { contactSheet } from "./io/sheet.ts";
import { WEIGHT_TYPES } from "../kernels/linear/weight_types.ts";

const PROMPTS = [
  "red apple",
  "dog face",
  "pizza",
  "rocket",
  "sunflower",
  "purple cat",
  "blue car",
  "birthday cake",
];
const COLUMNS = 4;

const SPEC = {
  name: "demo",
  summary: `Draws ${PROMPTS.join(", ")} side by side.`,
  words: "",
  flags: {
    "output": { alias: "o", type: path, help: "PNG to write (bitwise-demo.png)" },
    "seed": { alias: "s", type: seed, help: "Seed of the first image, -1 for a random one" },
    "model": { alias: "m", type: { ...path, value: "DIR" }, help: "Model folder (emoji-nano)" },
    "type": { type: oneOf(...WEIGHT_TYPES), help: "Storage of weights and cache (f32)" },
    ...GPU_FLAG,
  },
} as const satisfies Spec;

/** `bitwise demo`: a few prompts as one PNG. */
export async function demo(args: readonly string[], io: Io): Promise<number> {
  const { values: given, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  if (given.output === "-") {
    throw new UsageError("Cannot write the demo to stdout: give a name in .png");
  }
  const [output = ""] = outputPaths(given.output ?? "bitwise-demo.png", 1);
  await checkWritable(output);

  const { InfinityModel } = await import("../model/infinity.ts");
  using progress = new ProgressLine(io);
  const model = await orAbort(
    io.signal,
    InfinityModel.load(given.model, {
      gpu: await implementation(given.gpu),
      type: given.type,
      onProgress: (what) => progress.show(`Loading ${what}`),
    }),
  );
  const { images, seconds: took } = await orAbort(
    io.signal,
    model.generate({
      prompt: PROMPTS,
      seed: drawnSeed(given.seed),
      signal: io.signal,
      onProgress: ({ stage, scale, scales, height, width, seconds: at }) =>
        progress.show(
          stage === "decode"
            ? `Decoded ${PROMPTS.length} images of ${width}x${height}, ${seconds(at)}`
            : `Scale ${scale + 1}/${scales}: ${height}x${width} tokens, ${seconds(at)}`,
        ),
    }),
  );
  const { encodePng } = await import("../model/image/png.ts");
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  const { rgba, width, height } = contactSheet(images, COLUMNS);
  await writeFileAtomic(output, encodePng(rgba, width, height), { signal: io.signal });
  progress[Symbol.dispose]();
  io.err(`${seconds(took.total)} on ${model.device.capabilities.adapter}\n`);
  io.out(output);
  model.dispose();
  return 0;
}
