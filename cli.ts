/**
 * The command line: one word for the command, then its flags.
 *
 * @module
 */

import type { Command } from "./commands/command.ts";
import { UsageError } from "./commands/flags/flags.ts";
import { nearest } from "./model/config/nearest.ts";
import { adviseOn } from "./commands/hints.ts";
import { CLEAR_LINE, coloured, type Io, processIo } from "./commands/io/io.ts";
import { COMMANDS } from "./commands/registry.ts";
import {
  BitwiseError,
  debugLevel,
  endCompilations,
  FileError,
  InputError,
  readEnv,
} from "./engine/mod.ts";
import { VERSION } from "./model/config/version.ts";

export type { Io, Style } from "./commands/io/io.ts";

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
    "",
    "Environment:",
    "  BITWISE_DEBUG  1 prints stack traces, 2 also the time of each kernel, 3 also which variants",
    "                 of kernels are chosen and why, 4 also their WGSL",
    "  NO_COLOR       Print without colours",
  ].join("\n");
}

async function loadCommand(name: string): Promise<Command> {
  if (Object.hasOwn(COMMANDS, name)) return await COMMANDS[name]!.load();
  const kind = name.startsWith("-") ? "flag" : "command";
  if (name === "-v" || name === "-q") {
    const version = name === "-v" ? "; --version shows the version" : "";
    throw new UsageError(`Unknown flag ${name}: it follows a command${version}`);
  }
  const word = nearest(name.replace(/^-+/, ""), Object.keys(COMMANDS));
  const advice = word ? `did you mean ${word}?` : "see --help";
  throw new UsageError(`Unknown ${kind} ${name}: ${advice}`);
}

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    if (name !== "help" || rest[0] === undefined) return io.out(overview()), 0;
    return await dispatch([rest[0], "--help"], io);
  }
  if (name === "--version" || name === "-V") return io.out(`bitwise ${VERSION}`), 0;
  const run = await loadCommand(name);
  return await run(rest, io);
}

/**
 * Runs a command line: 0 done, 1 failed, 2 not understood, 130 interrupted, 143 ended by SIGTERM. Failures are one line on stderr.
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

/** Prints in one line what went wrong, and returns the status for it. */
function report(error: unknown, io: Io, env: (name: string) => string | undefined): number {
  if (error instanceof Deno.errors.BrokenPipe) return 0; // `inspect | head` has read enough
  if ((error as { code?: string })?.code === "ENOSPC") {
    error = new FileError("write-failed", "Cannot write to stdout: no space is left on the device");
  }
  if (io.signal.aborted && error === io.signal.reason && error instanceof Error) {
    io.err("Interrupted\n", io.errIsTerminal ? CLEAR_LINE : "");
    return Object.hasOwn(SIGNALS, error.message) ? SIGNALS[error.message]! : 130;
  }
  const known = error instanceof BitwiseError;
  const debug = debugLevel(env) >= 1;
  const hint = known || debug ? "" : "; set BITWISE_DEBUG=1 for the stack trace";
  io.err(` ${adviseOn(error)}${hint}\n`, coloured(io, 31, "error:"));
  if (debug && error instanceof Error) io.err(`${error.stack}\n`);
  // an argument that cannot be right is usage, whoever noticed
  return error instanceof UsageError || error instanceof InputError ? 2 : 1;
}

/** The statuses of a process that a signal ended, as shells give them. */
const SIGNALS: Readonly<Record<string, number>> = { SIGINT: 130, SIGBREAK: 130, SIGTERM: 143 };

/** Aborts at the first Ctrl-C or SIGTERM, whose name is the message of the reason; a second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const windows = Deno.build.os === "windows";
  for (const name of windows ? ["SIGINT", "SIGBREAK"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      if (controller.signal.aborted) Deno.exit(SIGNALS[name]);
      controller.abort(new DOMException(name, "AbortError"));
    });
  }
  return controller.signal;
}

/** Exits at once, because an open GPU would keep the process alive. */
async function exit(code: number): Promise<never> {
  await endCompilations();
  Deno.exit(code);
}

if (import.meta.main) {
  const io = processIo(interruption(), Boolean(readEnv("NO_COLOR")));
  const fail = (event: Event, error: unknown) => {
    event.preventDefault();
    exit(report(error, io, readEnv));
  };
  // what nobody waits for must end like any other error
  globalThis.addEventListener("unhandledrejection", (event) => fail(event, event.reason));
  globalThis.addEventListener("error", (event) => fail(event, event.error));
  await exit(await main(Deno.args, io, readEnv));
}
