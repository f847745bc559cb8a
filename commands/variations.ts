import { help, parseFlags, type Spec, UsageError } from "./flags/flags.ts";
import { draw } from "./generate.ts";
import { FLAGS } from "./flags/generate_flags.ts";
import type { Io } from "./io/io.ts";

const { "init-img": _init, mask: _mask, strength: _strength, "keep-scales": keep, ...SHARED } =
  FLAGS;

const SPEC = {
  name: "variations",
  summary: "Keeps the first scales of an image and draws the rest anew, with several seeds.",
  words: "IMAGE|BITS [PROMPT]",
  flags: {
    "keep-scales": { ...keep, alias: "k", help: "Scales that stay (half of them)" },
    ...SHARED,
    "batch-count": { ...SHARED["batch-count"], help: "Variations, seeds counting up (4)" },
  },
  notes: [
    "Without a prompt it is the one that the PNG carries, if bitwise made it.",
    'Example: bitwise variations apple.png "red apple" -k 2 -b 8',
  ],
} as const satisfies Spec;

/** Half of the scales, rounded up, are drawn. */
const STRENGTH = 0.5;

/** `bitwise variations`: what else an image could have become. */
export async function variations(args: readonly string[], io: Io): Promise<number> {
  const { values: given, words, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const [image, ...rest] = words;
  if (image === undefined) throw new UsageError("Cannot vary nothing: give an image, or its bits");
  const prompted = given.prompt || rest.length || given["text-features"] !== undefined;
  const kept = given["keep-scales"] === undefined && { strength: STRENGTH };
  return await draw(
    { "batch-count": 4, ...given, ...kept, "init-img": image },
    prompted ? rest : [await promptOf(image)],
    io,
  );
}

/** The prompt that a PNG carries. @throws {UsageError} it carries none. */
async function promptOf(path: string): Promise<string> {
  const { readFile } = await import("./io/images.ts");
  const { readPngText } = await import("../model/image/png.ts");
  const { parseParameters } = await import("../model/generate/parameters.ts");
  if (/\.png$/i.test(path)) {
    const { parameters } = readPngText(await readFile(path));
    const { prompt } = parameters === undefined ? {} : parseParameters(parameters);
    if (prompt) return prompt;
  }
  throw new UsageError(`Cannot vary "${path}" without a prompt: say what it shows`);
}
