import { help, parseFlags, path, type Spec, UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { type Io, orAbort } from "./io/io.ts";
import { checkWritable } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { formatBytes, type TensorToWrite } from "../engine/mod.ts";

const SPEC = {
  name: "encode",
  summary: "Turns an image into bits.",
  words: "IMAGE",
  flags: {
    "output": { alias: "o", type: path, help: "File to write (output.bits.safetensors)" },
    ...ENCODE_FLAGS,
    ...MODEL_FLAGS,
    "trace": { type: path, help: "Write features, bits and their codes as safetensors" },
  },
  notes: [
    "IMAGE is a PNG, JPEG or WebP file, or safetensors with image f32 [3, H, W] from -1 to 1.",
    "Example: bitwise encode cat.jpg -o cat.bits.safetensors",
  ],
} as const satisfies Spec;

/** `bitwise encode`: an image to a file of bits. */
export async function encode(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const { output = "output.bits.safetensors", trace } = given;
  const options = encodeOptions(given);
  if (!/\.safetensors$/i.test(output)) {
    throw new UsageError(`Cannot write "${output}": bits are a file in .bits.safetensors`);
  }
  if (trace === output) {
    throw new UsageError(`Cannot write "${trace}" as bits and a trace: give two names`);
  }
  const { loadModel, readInput } = await import("./io/images.ts");
  const file = onlyFile(words, "encode", "image");
  const input = await readInput(file);
  if ("scales" in input) throw new UsageError(`Cannot encode "${file}": it is bits already`);
  for (const path of [output, ...trace === undefined ? [] : [trace]]) await checkWritable(path);

  using progress = new ProgressLine(io);
  const model = await loadModel(given, io, progress);
  const began = performance.now();
  let traced: TensorToWrite[] = [];
  const bits = await orAbort(
    io.signal,
    model.encode(input, {
      ...options,
      signal: io.signal,
      ...trace !== undefined && { trace: (tensors) => traced = tensors },
    }),
  );
  const took = (performance.now() - began) / 1000;
  const { encodeBitsFile } = await import("../model/bits/bits_file.ts");
  const { bitCount } = await import("../model/bits/image_bits.ts");
  const { gridText, scheduleText } = await import("../model/config/grid.ts");
  const { writeFileAtomic } = await import("../model/checkpoint/files.ts");
  const { encodeSafetensors } = await import("../engine/mod.ts");
  progress[Symbol.dispose]();
  if (trace !== undefined) {
    await writeFileAtomic(trace, encodeSafetensors(traced), { signal: io.signal });
  }
  const bytes = encodeBitsFile(bits);
  await writeFileAtomic(output, bytes, { signal: io.signal });
  const count = bitCount(bits);
  const { width, height, d, latent, schedule } = bits;
  const { adapter } = model.device.capabilities;
  if (given.json) {
    io.out(JSON.stringify({
      path: output,
      width,
      height,
      d,
      latent: gridText(latent),
      schedule: scheduleText(schedule),
      bits: count,
      bitsPerPixel: count / width / height,
      bytes: bytes.length,
      trace,
      model: model.config.name,
      adapter,
      seconds: took,
    }));
  } else {
    io.out(output);
    io.err(
      `${count.toLocaleString("en")} bits of ${schedule.length} scales for ${width}x${height} ` +
        `pixels, ${formatBytes(bytes.length)}; ${seconds(took)} on ${adapter}\n`,
    );
  }
  model.dispose();
  return 0;
}
