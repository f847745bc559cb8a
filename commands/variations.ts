import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { FLAGS } from "./flags/generate_flags.ts";
import { imageLimits } from "./flags/limits.ts";
import { readSource, type Source } from "./io/input.ts";

const { "init-img": _init, mask: _mask, strength: _strength, "keep-scales": keep, ...SHARED } =
  FLAGS;

/** Without --keep-scales, half of the scales (rounded up) are generated again. */
const STRENGTH = 0.5;

/** `bitwise variations`: what else an image could have become. */
export const variations = command(
  {
    name: "variations",
    summary: "Keeps the first scales of an image and generates the others with several seeds.",
    words: "IMAGE|BITS [PROMPT]",
    flags: {
      "keep-scales": { ...keep, alias: "k", help: "Keep the first N scales (half of them)" },
      ...SHARED,
      "batch-count": { ...SHARED["batch-count"], help: "Variations, with consecutive seeds (4)" },
    },
    notes: [
      "IMAGE may be - for stdin. Without a prompt, the one stored in the PNG is used.",
      'Example: bitwise variations apple.png "a red apple" -k 2 -b 8',
    ],
  },
  async (given, words, io) => {
    const [image, ...rest] = words;
    if (image === undefined) {
      throw new UsageError("Cannot make variations: give an image, or its bits");
    }
    const prompted = given.prompt || given["prompt-file"] !== undefined || rest.length > 0 ||
      given["text-features"] !== undefined;
    const { openInput } = await import("../model/generate/images/open_input.ts");
    const { generateImages } = await import("./generating/run.ts");
    const source = await readSource(image, io);
    const prompt = prompted ? undefined : await promptOf(source);
    const kept = given["keep-scales"] === undefined && { strength: STRENGTH };
    const all = { "batch-count": 4, ...given, ...kept };
    const init = await openInput(source.bytes, source.name, imageLimits(given));
    return await generateImages(all, rest, io, { init, prompt });
  },
);

/** The prompt that a PNG carries. @throws {UsageError} It carries none. */
async function promptOf({ name, bytes }: Source): Promise<string> {
  const { readPngText } = await import("../model/image/png.ts");
  const { parseParameters } = await import("../model/generate/plan/parameters.ts");
  if (bytes[0] === 0x89 && bytes[1] === 0x50) {
    const { parameters } = readPngText(bytes, name);
    const { prompt } = parameters === undefined ? {} : parseParameters(parameters);
    if (prompt) return prompt;
  }
  throw new UsageError(`Cannot vary "${name}" without a prompt: say what it shows`);
}
