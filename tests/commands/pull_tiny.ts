// Pulls a small model from the hub whose URL is the first argument: a program whose permissions are tested.
import { adviseOn } from "../../commands/hints.ts";
import { processIo } from "../../commands/io/io.ts";
import { pullModel } from "../../commands/pull.ts";
import { TINY } from "../model/release/tiny_release.ts";

const io = processIo(new AbortController().signal, true);
const env: Record<string, string | undefined> = { HF_ENDPOINT: Deno.args[0], HF_HOME: "hf" };
try {
  await pullModel(TINY, { output: "tiny", pause: 1 }, io, (name) => env[name]);
} catch (error) {
  io.err(`error: ${adviseOn(error)}\n`);
  Deno.exit(1);
}
