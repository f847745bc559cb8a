import { help, parseFlags, path, type Spec, UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { type Io, orAbort } from "./io/io.ts";
import { checkWritable, outputPaths } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";

const SPEC = {
  name: "decode",
  summary: "Turns bits into an image.",
  words: "BITS",
  flags: {
    "output": { alias: "o", type: path, help: "PNG to write (output.png)" },
    "scales": ENCODE_FLAGS.scales,
    ...MODEL_FLAGS,
  },
  notes: ["Example: bitwise decode cat.bits.safetensors -o cat.png"],
} as const satisfies Spec;

/** `bitwise decode`: a file of bits to a PNG file. */
export async function decode(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const [output = ""] = outputPaths(given.output ?? "output.png", 1);
  const { loadModel, readInput } = await import("./io/images.ts");
  const { takeScales } = await import("../model/bits/image_bits.ts");
  const file = onlyFile(words, "decode", "bits file");
  const input = await readInput(file);
  if (!("scales" in input)) {
    throw new UsageError(`Cannot decode "${file}": it is an image; encode it, or reconstruct it`);
  }
  const bits = given.scales === undefined ? input : takeScales(input, given.scales);
  await checkWritable(output);

  using progress = new ProgressLine(io);
  const model = await loadModel(given, io, progress);
  const began = performance.now();
  const image = await orAbort(io.signal, model.decode(bits, { signal: io.signal }));
  const took = (performance.now() - began) / 1000;
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  progress[Symbol.dispose]();
  await writeFileAtomic(output, image.toPng(), { signal: io.signal });
  const { width, height } = image;
  const { adapter } = model.device.capabilities;
  if (given.json) {
    const scales = bits.schedule.length;
    const { name } = model.config;
    const report = { path: output, width, height, scales, model: name, adapter, seconds: took };
    io.out(JSON.stringify(report));
  } else {
    io.out(output);
    io.err(`${width}x${height} pixels in ${seconds(took)} on ${adapter}\n`);
  }
  model.dispose();
  return 0;
}
