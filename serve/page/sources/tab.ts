/// <reference lib="dom" />

/**
 * Draws in this tab, by the engine's bundle beside the page.
 *
 * @module
 */

import type { Maker, Pixels } from "../../jobs/job.ts";
import { BITS, newId, toBase64 } from "../data/bytes.ts";
import { Failure } from "../data/failure.ts";
import { canvasFile } from "../data/mask_layer.ts";
import { writeParametersText } from "../data/png_text.ts";
import type { Ask, Card, Source, Viewer } from "../data/source.ts";

/** Most pictures of one request: they are drawn one after the other. */
const MAX_IMAGES = 10;

/** What the engine's bundle exports. */
interface Engine {
  whyNot(): Promise<string | null>;
  openTab(options: {
    readonly modelUrl: string;
    readonly onProgress: (progress: LoadProgress) => void;
  }): Promise<Maker>;
}

/** How far the model is on its way, in bytes. */
export interface LoadProgress {
  readonly stage: "download" | "cache" | "load";
  readonly done: number;
  readonly total: number;
}

/** The tab as a source. */
export interface TabSource extends Source {
  /** Frees the GPU. */
  close(): Promise<void>;
}

/** The folder of the engine's model, relative to the page. */
const MODEL = "./model/";

/** The engine's bundle, relative to the page. */
const ENGINE = "./engine.js";

/** Says, without loading the engine, why it cannot run in this tab; undefined if nothing speaks against it. */
export async function whyNoTab(): Promise<string | undefined> {
  if (!("gpu" in navigator)) return "This browser has no WebGPU";
  if (!await isThere(ENGINE)) return "No engine on this server";
  return await isThere(`${MODEL}config.json`) ? undefined : "No model for tabs on this server";
}

async function isThere(path: string): Promise<boolean> {
  const answer = await fetch(path, { method: "HEAD" }).catch(() => undefined);
  return answer?.ok === true;
}

/**
 * Opens the engine in this tab.
 *
 * @throws {Failure} This browser cannot run it.
 */
export async function openTabSource(
  onProgress: (progress: LoadProgress) => void,
): Promise<TabSource> {
  try {
    // by a variable, so that the bundler leaves the import alone
    const url = new URL(ENGINE, document.baseURI).href;
    const engine = await import(url) as Engine;
    const why = await engine.whyNot();
    if (why) throw new Failure(why);
    const maker = await engine.openTab({ modelUrl: MODEL, onProgress });
    return {
      card: async (): Promise<Card> => ({ ...await maker.card, maxImages: MAX_IMAGES }),
      draw: (ask, viewer) => drawAll(maker, ask, viewer),
      close: () => maker.close("at once"),
    };
  } catch (error) {
    throw failureOf(error);
  }
}

async function drawAll(maker: Maker, ask: Ask, viewer: Viewer): Promise<void> {
  const { start, cfgScale, tau, width, height, negativePrompt } = ask;
  const settings = withoutAbsent({
    negativePrompt,
    cfgScale,
    tau,
    width,
    height,
    init: start && await toBase64(start.image),
    mask: start?.mask && await toBase64(start.mask),
    strength: start?.strength,
    keepScales: start?.keepScales,
  });
  for (let index = 0; index < ask.count; index++) {
    const seed = `${BigInt.asUintN(64, BigInt(ask.seed) + BigInt(index))}`;
    const shown: Promise<void>[] = [];
    try {
      const made = await maker.make({ id: newId(), prompt: ask.prompt, seed, settings }, {
        signal: viewer.signal,
        previews: true,
        onScale: ({ scale, scales, image }) => {
          if (!image) return;
          shown.push(
            encode(image).then((file) => {
              if (!viewer.signal.aborted) viewer.onScale({ index, scale, scales, image: file });
            }),
          );
        },
      });
      const image = writeParametersText(await encode(made), made.parameters);
      await Promise.all(shown);
      const bits = new Blob([made.bits], { type: BITS });
      viewer.onPicture({ index, seed, image, parameters: made.parameters, bits });
    } catch (error) {
      if (viewer.signal.aborted) throw error;
      throw failureOf(error);
    }
  }
}

function withoutAbsent<Fields extends object>(fields: Fields): Fields {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as Fields;
}

async function encode({ width, height, rgba }: Pixels): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const data = new ImageData(new Uint8ClampedArray(rgba), width, height);
  canvas.getContext("2d")!.putImageData(data, 0, 0);
  return await canvasFile(canvas);
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure(error instanceof Error ? error.message : "The engine failed");
}
