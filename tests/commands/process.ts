import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import manifest from "../../deno.json" with { type: "json" };
import { COMMANDS } from "../../commands/registry.ts";
import { DAWN } from "../backend.ts";

/** The command line. */
export const CLI: string = fromFileUrl(new URL("../../cli.ts", import.meta.url));
/** The model in the box. */
export const MODEL = fromFileUrl(new URL("../../assets/models/emoji-nano", import.meta.url));
/** Variables with which the Vulkan loader finds no driver. */
export const NO_GPU = {
  VK_ICD_FILENAMES: "/nonexistent",
  VK_DRIVER_FILES: "/nonexistent",
  DENO_WEBGPU_BACKEND: "vulkan",
};

/** What the task of a command permits, as flags of `deno run`; of any other word, what `generate` has. */
export function permissionsOf(command: string): string[] {
  const { tasks } = manifest;
  const name = Object.hasOwn(COMMANDS, command) ? command as keyof typeof tasks : "generate";
  const [deno, run, ...rest] = tasks[name].split(" ");
  assertEquals([deno, run, ...rest.slice(-2)], ["deno", "run", "cli.ts", name]);
  return rest.slice(0, -2);
}

/** Flags with other hosts in the place of those of the hub. */
export function withHosts(flags: readonly string[], ...hosts: string[]): string[] {
  return flags.map((flag) => flag.startsWith("--allow-net=") ? `--allow-net=${hosts}` : flag);
}

/** `deno run` with the permissions of a command's task, and on Dawn what that wants. It never asks for more. */
export function runFlags(command: string): string[] {
  const flags = ["run", "--no-prompt", ...permissionsOf(command)];
  if (!DAWN) return flags;
  const preload = fromFileUrl(import.meta.resolve("../backend.ts"));
  const others = flags.filter((flag) => !flag.startsWith("--allow-env"));
  return [...others, "--allow-env", "--no-lock", "--allow-ffi", "--preload", preload];
}

/** The command line with some flags of Deno's, which asks for nothing. */
export function spawn(
  cwd: string,
  flags: readonly string[],
  args: readonly string[],
): Deno.ChildProcess {
  const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, CLI, ...args],
    cwd,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", XDG_RUNTIME_DIR: cwd },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The permissions of a command's task, for the files of a test and for loopback only. */
export function narrowed(command: string, cwd: string): string[] {
  const root = fromFileUrl(new URL("../..", import.meta.url));
  const narrow: Record<string, string> = {
    "--allow-read": `--allow-read=${root},${cwd}`,
    "--allow-write": `--allow-write=${cwd}`,
    "--allow-net": "--allow-net=127.0.0.1",
  };
  return permissionsOf(command).map((flag) => narrow[flag] ?? flag);
}

/** The command line as users start it, in a folder of its own. */
export function start(
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): Deno.ChildProcess {
  // as on a machine that sets none of these
  const { XDG_RUNTIME_DIR: _, BITWISE_DEBUG: __, ...inherited } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args: [...runFlags(args[0] ?? ""), CLI, ...args],
    cwd,
    clearEnv: true,
    env: { ...inherited, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The result of a process. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Lines of stderr but for progress. */
  readonly said: readonly string[];
}

/** Reads a process to its end. */
export async function ended(process: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await process.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return summary(code, decode(stdout), decode(stderr));
}

/** What Dawn writes to stderr by itself. */
const DAWN_SAYS = /^Warning: .*\n( {4}at .*\n)?\n?/gm;

/** Separates messages from progress. */
export function summary(code: number, out: string, stderr: string): Ended {
  const err = DAWN ? stderr.replace(DAWN_SAYS, "") : stderr;
  const progress = /^(?:Images .* of .*: )?(Loading |Scale \d|Decoded |\d+\.\d+ s on )/;
  const said = err.split("\n").filter((line) => line && !progress.test(line));
  return { code, out, err, said };
}

/** Runs a test in a folder that is removed afterwards. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "bitwise-test-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Names in a folder. */
export function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Runs the command line, and asserts that it fails with one line and writes nothing. */
export async function refuses(
  args: readonly string[],
  code: number,
  message: string,
  env?: Record<string, string>,
): Promise<void> {
  await inFolder(async (cwd) => {
    const result = await ended(start(args, { cwd, env }));
    assertEquals(result.said.length, 1, result.err);
    assertStringIncludes(result.said[0]!, message);
    assert(result.said[0]!.startsWith("error: "), result.err);
    assert(result.err.endsWith(`${result.said[0]}\n`), result.err);
    assertEquals(result.code, code);
    assertEquals(result.out, "");
    assertEquals(filesIn(cwd), []);
  });
}

export { fakeIo } from "./fake_io.ts";

/** Runs a test where this process finds no adapter, so that commands end once they have read their inputs. */
export async function withoutAdapter(test: () => Promise<void>): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(navigator, "gpu");
  const value = { requestAdapter: () => Promise.resolve(null) };
  Object.defineProperty(navigator, "gpu", { value, configurable: true });
  try {
    await test();
  } finally {
    if (before) Object.defineProperty(navigator, "gpu", before);
    else delete (navigator as { gpu?: unknown }).gpu;
  }
}
