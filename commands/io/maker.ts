import type { MakerGiven } from "../flags/maker_flags.ts";
import { detail, type Io } from "./io.ts";
import { chooseModel } from "./model.ts";
import { ProgressLine } from "./progress.ts";
import { formatBytes, orAbort } from "../../engine/mod.ts";
import type { Maker, MakerEvents, ModelCard } from "../../serve/jobs/job.ts";

/** A maker whose model is loaded. */
export interface ReadyMaker {
  readonly maker: Maker;
  readonly card: ModelCard;
}

/** What a maker is opened with, besides the flags. */
export interface MakerOptions {
  /** The most jobs that wait. */
  readonly queue?: number;
  /** What is called for metrics. */
  readonly events?: MakerEvents;
}

/** A maker whose model is being loaded. */
export interface StartedMaker {
  readonly maker: Maker;
  /** The folder of its model. */
  readonly folder?: string | URL;
}

/** Finds a model, and begins to load it in a thread of its own. The caller closes the maker. */
export async function startMaker(
  given: MakerGiven,
  options: MakerOptions,
  io: Io,
): Promise<StartedMaker> {
  const { folder } = await chooseModel(given, io);
  const { openEngine } = await import("../../serve/engine/engine.ts");
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
  return { maker, folder };
}

/** Waits until a model is loaded, and reports what it is. */
export async function loaded(maker: Maker, io: Io): Promise<ModelCard> {
  using progress = new ProgressLine(io);
  progress.show("Loading the model");
  const card = await orAbort(io.signal, maker.card);
  progress[Symbol.dispose]();
  detail(io, `Model ${card.name} as ${card.type}`);
  detail(io, `GPU ${card.adapter}, ${formatBytes(maker.state().gpuBytes)} of weights`);
  return card;
}

/** Loads a model in a thread of its own, and reports what happens. The caller closes the maker. */
export async function openMaker(
  given: MakerGiven,
  options: MakerOptions,
  io: Io,
): Promise<ReadyMaker> {
  const { maker } = await startMaker(given, options, io);
  try {
    return { maker, card: await loaded(maker, io) };
  } catch (error) {
    await maker.close("at once");
    throw error;
  }
}
