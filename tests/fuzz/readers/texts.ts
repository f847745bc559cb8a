// Texts: the parameters in images, and prompts.
import { readNegativePrompt, readPrompts } from "../../../commands/generating/prompts.ts";
import type { Given } from "../../../commands/flags/generate_flags.ts";
import { WEIGHT_TYPES } from "../../../kernels/linear/weight_types.ts";
import {
  type ImageParameters,
  imageParameters,
  parseParameters,
} from "../../../model/generate/plan/parameters.ts";
import { fakeIo } from "../../commands/fake_io.ts";
import { mutateText, text, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";

const lora = (random: Random) => ({
  name: random.pick(["style", "a b", "x.y-1", "ü", "_", "lora"]),
  strength: random.pick([1, -0.5, 1e-7, 0.30000000000000004, 100]),
  hash: random.pick(["0123456789ab", "0"]),
});

/** Settings of an image whose texts are hostile. */
function settings(random: Random): ImageParameters {
  const scales = 1 + random.below(13);
  const perScale = () =>
    random.chance(0.5)
      ? random.below(100) / 8
      : Array.from({ length: scales }, () => random.below(9));
  return {
    prompt: random.chance(0.3)
      ? "red apple"
      : mutateText(random, "red apple\nSteps: 4, Seed: 1, Size: 1x1", TEXTS),
    ...random.chance(0.5) && { negativePrompt: text(random) },
    scales,
    cfgScale: perScale(),
    tau: perScale(),
    seed: BigInt(random.below(2 ** 32)) << BigInt(random.below(32)),
    width: 1 + random.below(2000),
    height: 1 + random.below(2000),
    model: random.chance(0.5) ? "emoji-nano" : text(random),
    schedule: Array.from({ length: scales }, () => [1 + random.below(64), 1 + random.below(64)]),
    topK: random.pick([0, 900]),
    topP: random.pick([0, 0.97]),
    greedy: random.chance(0.5),
    cfgInsertionLayer: random.pick([0, -5, [-1, -2]]),
    ...random.chance(0.3) && { fast: ["kv"] as const },
    ...random.chance(0.3) && { keepScales: random.below(9), masked: random.chance(0.5) },
    ...random.chance(0.3) && { loras: random.list(1, 3, () => lora(random)) },
    ...random.chance(0.3) && { type: random.pick(WEIGHT_TYPES) },
    version: "0.1.0",
  };
}

const WORDS = [": ", ", ", '"', "Prompt: ", "Steps: 9, ", "Size: 1x1", "a: "];

export const parameters = reader({
  make(random) {
    const long = random.chance(0.02) ? random.pick([...WORDS, "a", " "]).repeat(30_000) : "";
    return mutateText(random, long + imageParameters(settings(random)), WORDS);
  },
  read(input) {
    const found = parseParameters(input);
    for (const [key, value] of Object.entries(found)) {
      const list = [value].flat(3);
      claim(
        list.every((each) => typeof each !== "number" || Number.isFinite(each)),
        `${key}, not NaN`,
      );
    }
    for (const key of ["prompt", "negativePrompt", "model", "version"] as const) {
      claim(found[key] === undefined || typeof found[key] === "string", `${key} is a text`);
    }
  },
});

/** What is written is read without loss. */
export const parametersWritten = reader({
  whole: true,
  make: settings,
  read(of) {
    const found = parseParameters(imageParameters(of));
    const plain = (value: unknown) =>
      typeof value === "bigint" ? `${value}n` : JSON.stringify(value);
    for (
      const key of [
        "prompt",
        "negativePrompt",
        "model",
        "seed",
        "width",
        "schedule",
        "loras",
      ] as const
    ) {
      claim(plain(found[key]) === plain(of[key]), `${key} survives`);
    }
  },
});

export const prompts = reader({
  usesFiles: true,
  make: (random) => ({
    given: {
      ...random.chance(0.4) && { prompt: random.list(0, 3, () => text(random)) },
      ...random.chance(0.3) && { "prompt-file": random.pick(["-", "none.txt", text(random)]) },
      ...random.chance(0.3) && { "negative-prompt": random.pick(["-", text(random)]) },
      ...random.chance(0.2) && { "negative-prompt-file": random.pick(["-", text(random)]) },
    },
    words: random.list(0, 3, () => text(random)),
    stdin: random.chance(0.3)
      ? random.bytes(random.below(50))
      : new TextEncoder().encode(random.list(0, 9, () => text(random)).join("\n")),
  }),
  async read({ given, words, stdin }) {
    const io = fakeIo(stdin);
    const found = await readPrompts(given as Given, words, io);
    claim(found.every((prompt) => typeof prompt === "string" && prompt.trim() !== ""), "prompts");
    await readNegativePrompt(given as Given, io);
  },
});
