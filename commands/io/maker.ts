import type { MakerGiven } from "../flags/maker_flags.ts";
import { detail, type Io, orAbort } from "./io.ts";
import { chooseModel } from "./model.ts";
import { ProgressLine } from "./progress.ts";
import { formatBytes } from "../../engine/mod.ts";
import type { Maker, MakerEvents, ModelCard } from "../../serve/jobs/job.ts";

/** A maker whose model is loaded. */
export interface ReadyMaker {
  readonly maker: Maker;
  readonly card: ModelCard;
}

/** Loads a model in a thread of its own, and reports what happens. The caller closes the maker. */
export async function openMaker(
  given: MakerGiven,
  options: { readonly queue?: number; readonly events?: MakerEvents },
  io: Io,
): Promise<ReadyMaker> {
  const { folder } = await chooseModel(given, io);
  const { openEngine } = await import("../../serve/engine/engine.ts");
  using progress = new ProgressLine(io);
  progress.show("Loading the model");
  const maker = openEngine({
    model: `${folder}`,
    type: given.type,
    gpu: given.gpu,
    lora: given.lora,
    maxBytes: given["max-vram"],
    maxPixels: given["max-pixels"],
    batch: given.batch,
    ...options,
  });
  try {
    const card = await orAbort(io.signal, maker.card);
    progress[Symbol.dispose]();
    detail(io, `Model ${card.name} as ${card.type}`);
    detail(io, `GPU ${card.adapter}, ${formatBytes(maker.state().gpuBytes)} of weights`);
    return { maker, card };
  } catch (error) {
    await maker.close("at once");
    throw error;
  }
}
