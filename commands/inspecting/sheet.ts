import { UsageError } from "../flags/flags.ts";
import { encodeImage } from "../../model/image/enlarge.ts";
import { readInput } from "../io/images.ts";
import { type Io, outJson } from "../io/io.ts";
import { closeModel, type LoadGiven, type ModelGiven, openModel } from "../io/model.ts";
import { Output } from "../io/output.ts";
import { ProgressLine } from "../io/progress.ts";
import { contactSheet } from "../../model/image/sheet.ts";
import { takeScales } from "../../model/bits/image_bits.ts";
import { orAbort } from "../../engine/mod.ts";

/** Images in a row of a sheet. */
const COLUMNS = 7;

/** Writes what an image looks like after each scale. */
export async function writeSheet(
  path: string,
  sheet: string,
  given: ModelGiven & LoadGiven & { readonly json?: boolean; readonly overwrite?: boolean },
  io: Io,
): Promise<number> {
  const bits = await readInput(path, io);
  if (!("scales" in bits)) {
    throw new UsageError(`Cannot make a sheet of "${path}": it holds no bits; encode it first`);
  }
  const output = new Output(io, given);
  const target = await output.chooseOne(sheet);
  using progress = new ProgressLine(io);
  const model = await openModel(given, io, progress);
  const { signal } = io;
  const soFar = bits.schedule.map((_, s) => takeScales(bits, s + 1));
  const images = await orAbort(signal, model.decode(soFar, { signal }));
  const made = contactSheet(images, Math.min(COLUMNS, images.length));
  const { png, width, height } = await encodeImage(made);
  progress[Symbol.dispose]();
  const file = await output.write(target, png);
  const report = { path: file, width, height, scales: images.length };
  if (given.json) outJson(io, report);
  else output.print(file);
  await closeModel(model, io);
  return 0;
}
