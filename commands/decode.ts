import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { ENCODE_FLAGS, MODEL_FLAGS, onlyFile } from "./flags/image_flags.ts";
import { OVERWRITE_FLAG, UPSCALE_FLAG } from "./flags/output_flags.ts";
import { path } from "./flags/types.ts";
import { note, outJson } from "./io/io.ts";
import { Output } from "./io/output.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { orAbort } from "../engine/mod.ts";

/** `bitwise decode`: a file of bits to a PNG file. */
export const decode = command(
  {
    name: "decode",
    summary: "Decodes bits to an image.",
    words: "BITS",
    flags: {
      "output": { alias: "o", type: path, help: "PNG to write; - is stdout (output.png)" },
      ...OVERWRITE_FLAG,
      ...UPSCALE_FLAG,
      "scales": ENCODE_FLAGS.scales,
      ...MODEL_FLAGS,
    },
    notes: [
      "BITS is a file written by bitwise encode; - is stdin.",
      "Example: bitwise decode apple.bits.safetensors -o again.png",
    ],
  },
  async (given, words, io) => {
    const { closeModel, openModel } = await import("./io/model.ts");
    const { encodeImage } = await import("../model/image/enlarge.ts");
    const { readInput } = await import("./io/images.ts");
    const { takeScales } = await import("../model/bits/image_bits.ts");
    const file = onlyFile(words, "decode", "bits file");
    const input = await readInput(file, io);
    if (!("scales" in input)) {
      throw new UsageError(`Cannot decode "${file}": it is an image; encode or reconstruct it`);
    }
    const bits = given.scales === undefined ? input : takeScales(input, given.scales);
    const output = new Output(io, given);
    const target = await output.chooseOne(given.output ?? "output.png");

    using progress = new ProgressLine(io);
    const model = await openModel(given, io, progress);
    const began = performance.now();
    const image = await orAbort(io.signal, model.decode(bits, { signal: io.signal }));
    const took = (performance.now() - began) / 1000;
    progress[Symbol.dispose]();
    const { png, width, height } = await encodeImage(image, given.upscale);
    const written = await output.write(target, png);
    const { adapter } = model.device.capabilities;
    if (given.json) {
      const scales = bits.schedule.length;
      const { name } = model.config;
      const report = { path: written, width, height, scales, model: name, adapter, seconds: took };
      outJson(io, report);
    } else {
      output.print(written);
      note(io, `${width}x${height} pixels in ${seconds(took)} on ${adapter}`);
    }
    await closeModel(model, io);
    return 0;
  },
);
