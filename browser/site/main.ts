/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The page of the static site. The engine is a file of its own, which other pages can use as well. */

import type { Made, Maker, Pixels } from "../../serve/jobs/job.ts";
import { pngFile } from "./png_file.ts";

const { openTab } = await import(
  new URL("engine.js", import.meta.url).href
) as typeof import("../mod.ts");

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const form = find<HTMLFormElement>("form");
const prompt = find<HTMLInputElement>("prompt");
const seed = find<HTMLInputElement>("seed");
const generate = find<HTMLButtonElement>("generate");
const stop = find<HTMLButtonElement>("stop");
const progress = find<HTMLProgressElement>("progress");
const status = find("status");
const scales = find("scales");
const download = find<HTMLAnchorElement>("download");

let maker: Maker | null = null;
let running = new AbortController();
let jobs = 0;

/** Opens the model at the first picture: not everybody who comes wants to download it. */
async function open(signal: AbortSignal): Promise<Maker> {
  progress.hidden = false;
  try {
    return await openTab({
      modelUrl: "./model/",
      signal,
      onProgress({ stage, done, total }) {
        progress.value = total ? done / total : 0;
        const sizes = `${megabytes(done)} of ${megabytes(total)} MB`;
        say(stage === "load" ? "The GPU gets the model" : `The model comes: ${sizes}`);
      },
    });
  } finally {
    progress.hidden = true;
  }
}

async function draw(signal: AbortSignal): Promise<void> {
  maker ??= await open(signal);
  if (!seed.value) seed.value = `${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const job = { id: `${++jobs}`, prompt: prompt.value, seed: seed.value, settings: {} };
  scales.replaceChildren();
  const made = await maker.make(job, {
    signal,
    previews: true,
    onScale({ scale, scales, image }) {
      if (image) show(image, `Scale ${scale + 1} of ${scales}`);
      say(`Scale ${scale + 1} of ${scales}`);
    },
  });
  show(made, made.parameters);
  await offer(made);
  const { adapter } = await maker.card;
  say(`Drawn in ${made.seconds.toFixed(1)} s on ${adapter}`);
}

/** Adds a picture to the row of scales, and lays it on the large canvas. */
function show(image: Pixels, label: string): void {
  const small = document.createElement("canvas");
  const large = find<HTMLCanvasElement>("picture");
  for (const canvas of [small, large]) {
    canvas.width = image.width;
    canvas.height = image.height;
    const pixels = new ImageData(new Uint8ClampedArray(image.rgba), image.width, image.height);
    canvas.getContext("2d")!.putImageData(pixels, 0, 0);
    canvas.setAttribute("aria-label", label);
    canvas.setAttribute("role", "img");
  }
  scales.append(small);
}

async function offer(made: Made): Promise<void> {
  URL.revokeObjectURL(download.href);
  download.href = URL.createObjectURL(await pngFile(made));
  download.download = `${seed.value}.png`;
  download.hidden = false;
}

function say(text: string): void {
  status.textContent = text;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  running = new AbortController();
  [generate.disabled, stop.disabled, download.hidden] = [true, false, true];
  try {
    await draw(running.signal);
  } catch (error) {
    say(running.signal.aborted ? "Stopped" : (error as Error).message);
  } finally {
    [generate.disabled, stop.disabled] = [false, true];
  }
});
stop.addEventListener("click", () => running.abort());
find("another").addEventListener("click", () => seed.value = "");
generate.disabled = false;
