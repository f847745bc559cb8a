import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, encodeOptions, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { imageLimits } from "./flags/limits.ts";
import { OVERWRITE_FLAG } from "./flags/output_flags.ts";
import { path } from "./flags/types.ts";
import { note, outJson } from "./io/io.ts";
import { Output } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { formatBytes, orAbort, type TensorToWrite } from "../engine/mod.ts";

/** `bitwise encode`: an image to a file of bits. */
export const encode = command(
  {
    name: "encode",
    summary: "Encodes an image as bits.",
    words: "IMAGE",
    flags: {
      "output": {
        alias: "o",
        type: path,
        help: "File to write; - is stdout (output.bits.safetensors)",
      },
      ...OVERWRITE_FLAG,
      ...ENCODE_FLAGS,
      ...MODEL_FLAGS,
      "trace": { type: path, help: "Write features, bits and their codes as safetensors" },
    },
    notes: [
      "IMAGE is a PNG, JPEG or WebP file, or safetensors with image f32 [3, H, W] from -1 to 1;",
      "- is stdin.",
      "Example: bitwise encode apple.png -o apple.bits.safetensors",
    ],
  },
  async (given, words, io) => {
    const options = encodeOptions(given);
    const { closeModel, openModel } = await import("./io/model.ts");
    const { readInput } = await import("./io/images.ts");
    const file = onlyFile(words, "encode", "image");
    const output = new Output(io, given);
    const { output: name = "output.bits.safetensors" } = given;
    const target = await output.chooseOne(name, { kind: "bits" });
    const traceTarget = given.trace === undefined
      ? null
      : await output.chooseOne(given.trace, { kind: "tensors" });
    const input = await readInput(file, io, imageLimits(given));
    if ("scales" in input) throw new UsageError(`Cannot encode "${file}": it is bits already`);

    using progress = new ProgressLine(io);
    const model = await openModel(given, io, progress);
    const began = performance.now();
    let traced: TensorToWrite[] = [];
    const bits = await orAbort(
      io.signal,
      model.encode(input, {
        ...options,
        signal: io.signal,
        ...traceTarget && { trace: (tensors) => traced = tensors },
      }),
    );
    const took = (performance.now() - began) / 1000;
    const { encodeBitsFile } = await import("../model/bits/bits_file.ts");
    const { bitCount } = await import("../model/bits/image_bits.ts");
    const { gridText, scheduleText } = await import("../model/config/grid.ts");
    const { encodeSafetensors } = await import("../engine/mod.ts");
    progress[Symbol.dispose]();
    const trace = traceTarget
      ? await output.write(traceTarget, encodeSafetensors(traced))
      : undefined;
    const bytes = encodeBitsFile(bits);
    const written = await output.write(target, bytes);
    const count = bitCount(bits);
    const { width, height, d, latent, schedule } = bits;
    const { adapter } = model.device.capabilities;
    if (given.json) {
      outJson(io, {
        path: written,
        width,
        height,
        d,
        latent: gridText(latent),
        schedule: scheduleText(schedule),
        bits: count,
        bitsPerPixel: count / width / height,
        fileBytes: bytes.length,
        trace,
        model: model.config.name,
        adapter,
        seconds: took,
      });
    } else {
      output.print(written);
      note(
        io,
        `${count.toLocaleString("en")} bits in ${schedule.length} scales for ${width}x${height} ` +
          `pixels, ${formatBytes(bytes.length)}; ${seconds(took)} on ${adapter}`,
      );
    }
    await closeModel(model, io);
    return 0;
  },
);
