// Arguments of public functions as programs without a type checker pass them.
import { bitEntropy, fitMemory, planMemory, psnr, ssim } from "../../../model/analysis.ts";
import {
  decodeBitsFile,
  encodeApng,
  encodeBitsFile,
  encodePng,
  InfinityModel,
  interpolateBits,
  openImage,
  takeScales,
} from "../../../mod.ts";
import { dryGpu, encodeSafetensors } from "../../../engine/mod.ts";
import { JPEG, PNG } from "../../model/image/image_files.ts";
import { mutateBytes, number, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { reader } from "../reader.ts";
import { bits, CONFIG, image, value } from "./values.ts";

type Make = (random: Random) => unknown;
// deno-lint-ignore no-explicit-any -- callers without types
type Function = (...args: any[]) => unknown;

const dot = { width: 8, height: 8, rgba: new Uint8Array(256) };
const sampling: Make = (random) => ({ batchCount: number(random), width: 32, height: 32 });

/** Functions, and arguments that they take. */
const FUNCTIONS: readonly (readonly [Function, ...Make[]])[] = [
  [takeScales, bits, (random) => random.below(6)],
  [interpolateBits, bits, bits, () => 0.5, () => 7n],
  [encodeBitsFile, bits],
  [decodeBitsFile, () => new Uint8Array(20), text],
  [encodePng, () => dot.rgba, () => 8, () => 8, (random) => ({ [text(random)]: text(random) })],
  [encodeApng, () => [dot, dot], () => [1, 2], (random) => ({ parameters: text(random) })],
  [openImage, (random) => mutateBytes(random, random.pick([PNG, JPEG])), text, () => ({})],
  [psnr, () => dot, image],
  [ssim, () => dot, image],
  [bitEntropy, (random) => [bits(random)]],
  [planMemory, () => CONFIG, sampling],
  [fitMemory, () => CONFIG, sampling, (random) => 10 ** random.below(12)],
  [load, text, () => ({ gpu: dryGpu(), type: "f16", staged: true })],
  [synthetic, () => ({ gpu: dryGpu(), type: "q8_0", lazy: true })],
  [encodeSafetensors, () => [{ name: "x", dtype: "U8", shape: [1], data: new Uint8Array(1) }]],
];

async function load(name: string, options: object): Promise<void> {
  (await InfinityModel.load(name, options)).dispose();
}

async function synthetic(options: object): Promise<void> {
  (await InfinityModel.synthetic(CONFIG, options)).dispose();
}

export const functions = reader({
  deadline: 3000, // to find what fits, a generation is planned in each type
  usesFiles: true, // a model may be named
  make(random) {
    const index = random.below(FUNCTIONS.length);
    const [, ...makers] = FUNCTIONS[index]!;
    const args = makers.map((make) => random.chance(0.7) ? make(random) : value(random));
    const options = args.at(-1);
    if (typeof options === "object" && options !== null && random.chance(0.3)) {
      const key = random.pick([...Object.keys(options), text(random)]);
      args[args.length - 1] = { ...options, [key]: value(random) };
    }
    return { index, args };
  },
  read: ({ index, args }) => FUNCTIONS[index]![0](...args),
});
