import { command } from "./command.ts";
import { FLAGS } from "./flags/generate_flags.ts";

/** `bitwise generate`: prompts to PNG files. */
export const generate = command(
  {
    name: "generate",
    summary: "Generates images from a prompt.",
    words: "[PROMPT]",
    flags: FLAGS,
    notes: [
      "A prompt is text, @FILE for the text of a file, or - for stdin; @@ begins a prompt with @.",
      "Defaults come from the model's config.json. A list has one value per scale.",
      'Example: bitwise generate "a red apple" --seed 7 --upscale 4 -o apple.png',
    ],
  },
  async (given, words, io) => {
    const { generateImages } = await import("./generating/run.ts");
    return await generateImages(given, words, io);
  },
);
