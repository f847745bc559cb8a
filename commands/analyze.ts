import {
  drawnSeed,
  type FlagType,
  help,
  jsonSeed,
  number,
  parseFlags,
  seed,
  type Spec,
  UsageError,
  whole,
} from "./flags/flags.ts";
import { MODEL_FLAGS } from "./flags/image_flags.ts";
import type { Input } from "./io/images.ts";
import { type Io, orAbort } from "./io/io.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { decibels, table } from "./io/table.ts";
import type { InfinityModel } from "../model/infinity.ts";
import type { ImageBits } from "../model/bits/image_bits.ts";

const shares: FlagType<number[]> = {
  value: "N[,N…]",
  need: "shares above 0, at most 1, such as 0.01,0.05,0.25",
  read(given) {
    const list = given.split(",").map((part) => number.read(part) ?? NaN);
    return list.every((share) => share > 0 && share <= 1) ? list : undefined;
  },
};

const trials: FlagType<number> = {
  value: "N",
  need: "a whole number from 1",
  read: (given) => whole.read(given) || undefined,
};

const SPEC = {
  name: "analyze",
  summary: "Says which scales of images matter: what their bits hold, and what wrong ones cost.",
  words: "FILE...",
  flags: {
    "flips": { type: shares, help: "Shares of a scale's bits to flip (0.01,0.05,0.25)" },
    "trials": { type: trials, help: "Drawings of flips for each image (2)" },
    "seed": { alias: "s", type: seed, help: "Seed of the flips, -1 for a random one (0)" },
    ...MODEL_FLAGS,
  },
  notes: [
    "Files are images, or bits that  bitwise encode  wrote; all are taken in the scales of the first.",
    "Example: bitwise analyze cat.png dog.png",
  ],
} as const satisfies Spec;

/** `bitwise analyze`: entropy and sensitivity of each scale's bits. */
export async function analyze(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words: files, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  if (files.length === 0) {
    throw new UsageError("Cannot analyze nothing: give images, or bits files");
  }
  const { loadModel, readInput } = await import("./io/images.ts");
  const { bitEntropy, FLIP_SHARES, flipSensitivity } = await import("../model/analysis.ts");
  const { gridText } = await import("../model/config/grid.ts");
  const inputs: Input[] = [];
  for (const file of files) inputs.push(await readInput(file));

  using progress = new ProgressLine(io);
  const model = await loadModel(given, io, progress);
  const began = performance.now();
  const { signal } = io;
  const images = await encodeAll(model, inputs, files, io, progress);
  const entropies = bitEntropy(images);
  const options = {
    shares: given.flips ?? FLIP_SHARES,
    trials: given.trials ?? 2,
    seed: drawnSeed(given.seed) ?? 0n,
  };
  const sensitivities = await flipSensitivity(
    (list) => orAbort(signal, model.decode(list, { signal })),
    images,
    {
      ...options,
      signal,
      onProgress: (done, total) => progress.show(`Decoded ${done} of ${total} images`),
    },
  );
  const scales = entropies.map((entropy, s) => {
    const { upTo, flips } = sensitivities[s]!;
    return {
      ...entropy,
      grid: gridText(entropy.grid),
      upTo: finite(upTo),
      flips: flips.map((flip) => ({ ...flip, psnr: finite(flip.psnr) })),
    };
  });
  const took = (performance.now() - began) / 1000;
  progress[Symbol.dispose]();
  const { adapter } = model.device.capabilities;
  if (given.json) {
    const { width, height, d, latent } = images[0]!;
    io.out(JSON.stringify({
      files,
      width,
      height,
      d,
      latent: gridText(latent),
      trials: options.trials,
      seed: jsonSeed(options.seed),
      scales,
      model: model.config.name,
      adapter,
      seconds: took,
    }));
  } else {
    const heads = ["scale", "grid", "bits", "ones %", "entropy", "so far dB"];
    const flipped = options.shares.map((share) => `flip ${+(100 * share).toPrecision(6)}% dB`);
    const cells = scales.map(({ grid, bits, ones, entropy, upTo, flips }, s) => [
      `${s + 1}`,
      grid,
      bits.toLocaleString("en"),
      (100 * ones).toFixed(1),
      entropy.toFixed(3),
      decibels(upTo),
      ...flips.map(({ psnr }) => decibels(psnr)),
    ]);
    for (const line of table([...heads, ...flipped], cells)) io.out(line);
    io.out(notes(files.length, scales[0]!.samples, options.trials));
    io.err(`${seconds(took)} on ${adapter}\n`);
  }
  model.dispose();
  return 0;
}

/** All inputs as bits, in the scales of the first. @throws {InputError} one cannot be had in them. */
async function encodeAll(
  model: InfinityModel,
  inputs: readonly Input[],
  files: readonly string[],
  io: Io,
  progress: ProgressLine,
): Promise<ImageBits[]> {
  const { InputError, quote } = await import("../engine/mod.ts");
  const { otherScales } = await import("../model/bits/image_bits.ts");
  const { asBits } = await import("./io/images.ts");
  const images: ImageBits[] = [];
  for (const [i, input] of inputs.entries()) {
    const bits = await asBits(model, input, io, { schedule: images[0]?.schedule });
    const why = otherScales(images[0] ?? bits, bits);
    if (why) {
      const both = `${quote(files[0]!)} and ${quote(files[i]!)}`;
      throw new InputError("other-bits", `Cannot analyze ${both} together: ${why}`);
    }
    images.push(bits);
    progress.show(`Encoded ${i + 1} of ${inputs.length} images`);
  }
  return images;
}

/** How to read the table. */
function notes(images: number, samples: number, trials: number): string {
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  return `${count(images, "image")}; entropy per bit, too low where samples are few (` +
    `${count(samples, "sample")} a channel at scale 1); PSNR against the whole image: of the ` +
    `scales so far, and with a share of this scale's bits flipped (${count(trials, "trial")})`;
}

/** JSON has no infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
