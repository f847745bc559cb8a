/**
 * The command line: one word for the command, then its flags.
 *
 * @module
 */

import { UsageError } from "./commands/flags/flags.ts";
import { adviseOn } from "./commands/hints.ts";
import { type Io, processIo } from "./commands/io/io.ts";
import { nearest } from "./model/config/nearest.ts";
import { BitwiseError, InputError } from "./engine/mod.ts";
import { VERSION } from "./model/config/version.ts";

export type { Io } from "./commands/io/io.ts";

/** A command: its arguments to the status its process ends with. */
type Run = (args: readonly string[], io: Io) => Promise<number>;

// loaded when called: help needs no GPU, inspection no model
const COMMANDS: Record<string, { summary: string; load: () => Promise<Run> }> = {
  generate: {
    summary: "Draw images from a prompt",
    load: async () => (await import("./commands/generate.ts")).generate,
  },
  demo: {
    summary: "Draw a few prompts side by side",
    load: async () => (await import("./commands/demo.ts")).demo,
  },
  encode: {
    summary: "Turn an image into bits",
    load: async () => (await import("./commands/encode.ts")).encode,
  },
  decode: {
    summary: "Turn bits into an image",
    load: async () => (await import("./commands/decode.ts")).decode,
  },
  reconstruct: {
    summary: "Encode an image and decode it again, and say what is lost",
    load: async () => (await import("./commands/reconstruct.ts")).reconstruct,
  },
  variations: {
    summary: "Keep an image's first scales and draw the rest anew",
    load: async () => (await import("./commands/variations.ts")).variations,
  },
  interpolate: {
    summary: "Draw images between two images",
    load: async () => (await import("./commands/interpolate.ts")).interpolate,
  },
  analyze: {
    summary: "Say which scales of images matter, bit by bit",
    load: async () => (await import("./commands/analyze.ts")).analyze,
  },
  inspect: {
    summary: "Show what is in a model folder, a safetensors or bits file, or a PNG",
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  convert: {
    summary: "Convert a PyTorch checkpoint to safetensors, a release to a model folder",
    load: async () => (await import("./commands/convert.ts")).convert,
  },
  pull: {
    summary: "Download a published model, and convert it",
    load: async () => (await import("./commands/pull.ts")).pull,
  },
  plan: {
    summary: "Say what a generation needs of the GPU's memory",
    load: async () => (await import("./commands/plan.ts")).plan,
  },
  doctor: {
    summary: "Check the GPU, and say what is missing",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
};

function overview(): string {
  return [
    `bitwise ${VERSION}: text to images with Infinity, on WebGPU`,
    "",
    "Usage: bitwise COMMAND [FLAGS]",
    "",
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(13)}${summary}`),
    "",
    "  -h, --help     Show this help, or that of a command",
    "      --version  Show the version",
  ].join("\n");
}

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    if (name !== "help" || rest[0] === undefined) return io.out(overview()), 0;
    return await dispatch([rest[0], "--help"], io);
  }
  if (name === "--version" || name === "-V") return io.out(`bitwise ${VERSION}`), 0;
  if (!Object.hasOwn(COMMANDS, name)) {
    const word = nearest(name.replace(/^-+/, ""), Object.keys(COMMANDS));
    const kind = name.startsWith("-") ? "flag" : "command";
    const advice = word ? `did you mean ${word}?` : "see --help";
    throw new UsageError(`Unknown ${kind} ${name}: ${advice}`);
  }
  const run = await COMMANDS[name]!.load();
  return await run(rest, io);
}

/**
 * Runs a command line: 0 done, 1 failed, 2 not understood, 130 interrupted. Failures are one line on stderr.
 *
 * @param env Reads an environment variable.
 */
export async function main(
  args: readonly string[],
  io: Io,
  env: (name: string) => string | undefined = () => undefined,
): Promise<number> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    return report(error, io, env);
  }
}

/** Says in one line what went wrong, and returns the status for it. */
function report(error: unknown, io: Io, env: (name: string) => string | undefined): number {
  if (error instanceof Deno.errors.BrokenPipe) return 0; // `inspect | head` has read enough
  if (io.signal.aborted && error === io.signal.reason) {
    io.err(`${io.errIsTerminal ? "\r\x1b[K" : ""}Interrupted\n`);
    return 130;
  }
  const known = error instanceof UsageError || error instanceof BitwiseError;
  const debug = env("BITWISE_DEBUG") === "1";
  const hint = known || debug ? "" : "; set BITWISE_DEBUG=1 for the stack";
  io.err(`error: ${adviseOn(error)}${hint}\n`);
  if (debug && error instanceof Error) io.err(`${error.stack}\n`);
  // an argument that cannot be right is usage, whoever noticed
  return error instanceof UsageError || error instanceof InputError ? 2 : 1;
}

/** Reads a variable if that is allowed without asking. */
function readEnv(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** Aborts at the first Ctrl-C; a second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
  };
  const windows = Deno.build.os === "windows";
  for (const name of windows ? ["SIGINT", "SIGBREAK"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, stop);
  }
  return controller.signal;
}

if (import.meta.main) {
  const io = processIo(interruption());
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    Deno.exit(report(event.reason, io, readEnv));
  });
  // exits at once: an open GPU would keep the process alive
  Deno.exit(await main(Deno.args, io, readEnv));
}
