import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { MODEL_FLAGS } from "./flags/image_flags.ts";
import { IMAGE_FLAG, imageLimits } from "./flags/limits.ts";
import { chosenSeed, type FlagType, integerFrom, number, seed } from "./flags/types.ts";
import type { OpenInput } from "../model/generate/images/open_input.ts";
import { type Io, note, outJson } from "./io/io.ts";
import type { LoadGiven, ModelGiven } from "./io/model.ts";
import { ProgressLine, seconds } from "./io/progress.ts";
import { decibels, table } from "./io/table.ts";
import type { InfinityModel } from "../model/infinity.ts";
import type { ImageBits } from "../model/bits/image_bits.ts";
import { jsonSeed } from "../model/generate/plan/seed.ts";
import { orAbort } from "../engine/mod.ts";

const shares: FlagType<number[]> = {
  value: "N[,N…]",
  need: "shares above 0, at most 1, such as 0.01,0.05,0.25",
  read(given) {
    const list = given.split(",").map((part) => number.read(part) ?? NaN);
    return list.every((share) => share > 0 && share <= 1) ? list : undefined;
  },
};

/** `bitwise analyze`: entropy and sensitivity of each scale's bits. */
export const analyze = command(
  {
    name: "analyze",
    summary: "Measures which scales of images matter: what their bits hold, and what errors cost.",
    words: "FILE...",
    flags: {
      "flips": { type: shares, help: "Shares of a scale's bits to flip (0.01,0.05,0.25)" },
      "trials": { type: integerFrom(1, 9999), help: "Random sets of flips per image (2)" },
      "seed": { alias: "s", type: seed, help: "Seed of the flips, -1 for a random one (0)" },
      ...IMAGE_FLAG,
      ...MODEL_FLAGS,
    },
    notes: [
      "FILEs are images, or bits written by bitwise encode; the first one decides the scales.",
      "Example: bitwise analyze apple.png pizza.png",
    ],
  },
  (given, files, io) => run(given, files, io),
);

interface AnalyzeGiven extends ModelGiven, LoadGiven {
  readonly flips?: number[];
  readonly trials?: number;
  readonly seed?: bigint;
  readonly json?: boolean;
  readonly "max-pixels"?: number;
}

async function run(given: AnalyzeGiven, files: readonly string[], io: Io): Promise<number> {
  if (files.length === 0) {
    throw new UsageError("Cannot analyze without a file: give images, or bits files");
  }
  const { closeModel, openModel } = await import("./io/model.ts");
  const { readInput } = await import("./io/images.ts");
  const { bitEntropy, FLIP_SHARES, flipSensitivity } = await import("../model/analysis.ts");
  const { gridText } = await import("../model/config/grid.ts");
  const inputs: OpenInput[] = [];
  for (const file of files) inputs.push(await readInput(file, io, imageLimits(given)));

  using progress = new ProgressLine(io);
  const model = await openModel(given, io, progress);
  const began = performance.now();
  const { signal } = io;
  const images = await encodeAll(model, inputs, files, io, progress);
  const entropies = bitEntropy(images);
  const options = {
    shares: given.flips ?? FLIP_SHARES,
    trials: given.trials ?? 2,
    seed: chosenSeed(given.seed) ?? 0n,
  };
  const sensitivities = await flipSensitivity(
    (list) => orAbort(signal, model.decode(list, { signal })),
    images,
    {
      ...options,
      signal,
      onProgress: (done, total) =>
        progress.show(`Decoded ${done} of ${total} images`, done / total),
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
    outJson(io, {
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
    });
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
    io.out(legend(files.length, scales[0]!.samples, options.trials));
    note(io, `${seconds(took)} on ${adapter}`);
  }
  await closeModel(model, io);
  return 0;
}

/** Returns all inputs as bits, in the scales of the first. @throws {InputError} The scales of one differ. */
async function encodeAll(
  model: InfinityModel,
  inputs: readonly OpenInput[],
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

/** Explains the table. */
function legend(images: number, samples: number, trials: number): string {
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  return `${count(images, "image")}; entropy per bit, too low where samples are few (` +
    `${count(samples, "sample")} a channel at scale 1); PSNR against the complete image: of the ` +
    `scales so far, and with a share of this scale's bits flipped (${count(trials, "trial")})`;
}

/** Replaces infinity, which JSON cannot hold. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
