import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { SERVE_FLAGS } from "./flags/serve_flags.ts";

/** `bitwise serve`: HTTP APIs, and a page. */
export const serve = command(
  {
    name: "serve",
    summary: "Serves images over HTTP: the APIs of OpenAI, A1111 and cog, and a page.",
    words: "",
    flags: SERVE_FLAGS,
    notes: [
      "Without a token it answers this machine only. SIGTERM and Ctrl-C let it finish what it took.",
      "With --redis, the workers of that queue make the images, and this needs no GPU.",
      "Example: bitwise serve --port 8080",
    ],
  },
  async (given, words, io) => {
    if (words.length > 0) throw new UsageError(`Cannot serve "${words[0]}": give flags only`);
    const { serveImages } = await import("./serving/run.ts");
    return await serveImages(given, io);
  },
);
