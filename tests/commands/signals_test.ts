/**
 * Sends signals to commands at random times: each ends at once with the status of the signal and one line, leaves no
 * temporary file, and what it has finished is whole. By hand: BITWISE_SIGNALS=100 (each command as often) and
 * BITWISE_SEED=2; the lines that it prints have the counts.
 *
 * @module
 */

import "../backend.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "@std/path";
import { encodePng } from "../../model/image/png.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import { decodePng } from "../decode_png.ts";
import { REPOSITORY } from "../../model/config/presets.ts";
import { readLog } from "../../model/training/mod.ts";
import { MockHub } from "../model/release/hub/mock_hub.ts";
import { tinyRepositories } from "../model/release/tiny_release.ts";
import { random } from "../random.ts";
import { writeTraining } from "./tiny_training.ts";
import { CLI, inFolder, MODEL, runFlags, summary, withHosts } from "./process.ts";

const COUNT = Number(Deno.env.get("BITWISE_SIGNALS") ?? 3);
const SEED = Number(Deno.env.get("BITWISE_SEED") ?? 1);
/** Milliseconds within which a process must end: a GPU that is at work is waited for. */
const PATIENCE = 10_000;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGKILL"] as const;
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGKILL: 137 } as const;

/** Command lines that take a while, in a folder with inputs; they write in the folder `out`. */
const LINES: Readonly<Record<string, readonly string[]>> = {
  "generate": ["generate", "red apple", "-o", "out/a.png", "--trace", "out/a.safetensors"],
  "generate previews": [
    "generate",
    "cat",
    "-o",
    "out/a.png",
    "--preview",
    "out/p",
    "--animate",
    "out/b.png",
  ],
  "generate -b": ["generate", "cat", "-b", "12", "--max-vram", "45M", "-o", "out/a.png"],
  "generate -i": ["generate", "cat", "-i", "in.png", "--strength", "0.7", "-o", "out/a.png"],
  "demo": ["demo", "-o", "out/a.png"],
  "encode": ["encode", "in.png", "-o", "out/a.safetensors", "--trace", "out/t.safetensors"],
  "decode": ["decode", "in.safetensors", "-o", "out/a.png"],
  "reconstruct": ["reconstruct", "in.png", "-o", "out/a.png"],
  "variations": ["variations", "in.png", "cat", "-o", "out/a.png"],
  "interpolate": [
    "interpolate",
    "in.png",
    "in.safetensors",
    "-o",
    "out/a.png",
    "--animate",
    "out/b.png",
  ],
  "analyze": ["analyze", "in.png"],
  "plan": ["plan", "-m", "2b", "-b", "2"],
  "convert": [
    "convert",
    `${MODEL}/transformer.safetensors`,
    "--type",
    "f32",
    "-o",
    "out/a.safetensors",
  ],
  "train": ["train", "tokenizer", "c.json", "-o", "out/m", "--steps", "12"],
  "convert folder": ["convert", "release", "--preset", "125m", "-o", "out/model"],
  "pull": ["pull", "125m", "-o", "out/model"],
};

/** Starts a command as its task does, with the hub of this test. */
function start(args: readonly string[], cwd: string, hub: string): Deno.ChildProcess {
  const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
  const preload = join(dirname(CLI), "tests", "commands", "tiny_preset.ts");
  return new Deno.Command(Deno.execPath(), {
    args: [...withHosts(runFlags(args[0]!), "127.0.0.1"), "--preload", preload, CLI, ...args],
    cwd,
    clearEnv: true,
    env: {
      ...env,
      NO_COLOR: "1",
      XDG_RUNTIME_DIR: cwd,
      HF_ENDPOINT: hub,
      HF_HOME: join(cwd, "hf"),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** All files of a folder, by their paths in it. */
function filesUnder(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesUnder(join(folder, name)).map((path) => `${name}/${path}`) : [name]
  );
}

/** Reads a file to its end. @throws It is not whole. */
async function assertWhole(path: string): Promise<void> {
  if (path.endsWith(".png")) decodePng(await Deno.readFile(path));
  else if (path.endsWith(".json")) JSON.parse(await Deno.readTextFile(path));
  else if (path.endsWith(".jsonl")) await readLog(path);
  else if (path.endsWith(".svg")) assertMatch(await Deno.readTextFile(path), /<\/svg>\n$/);
  else {
    const file = await openTensorFile(path);
    for (const name of file.tensors.keys()) await file.read(name);
    file.close();
  }
}

/** Names that files have while they are written, or while others must not write. */
const TEMPORARY = /\.(tmp|part|lock)(\/|$)/;

/** What one command did at all signals. */
interface Counts {
  /** The signal came before the command listened, and ended the process. */
  early: number;
  interrupted: number;
  /** The command had done all of its work. */
  late: number;
  killed: number;
  /** The longest time from a signal to the end, in milliseconds. */
  slowest: number;
}

/** Sends a signal to a command after some milliseconds, and checks what is left. */
async function interrupt(
  args: readonly string[],
  { cwd, hub, signal, after }: {
    cwd: string;
    hub: string;
    signal: typeof SIGNALS[number];
    after: number;
  },
  counts: Counts,
): Promise<void> {
  const out = join(cwd, "out");
  await Deno.mkdir(out);
  const process = start(args, cwd, hub);
  const output = process.output();
  await new Promise((resolve) => setTimeout(resolve, after));
  const sent = performance.now();
  try {
    process.kill(signal);
  } catch {
    // it has ended
  }
  const { code, stdout, stderr, signal: ended } = await output;
  const took = performance.now() - sent;
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const { said } = summary(code, decode(stdout), decode(stderr));
  const what = `bitwise ${args.join(" ")}, ${signal} after ${after.toFixed(0)} ms: ${
    decode(stderr)
  }`;
  const left = filesUnder(out);
  if (signal === "SIGKILL") {
    // a file that was being written has its temporary name
    for (const path of left) if (!TEMPORARY.test(path)) await assertWhole(join(out, path));
    ended ? counts.killed++ : counts.late++;
  } else {
    assert(took < PATIENCE, `${what} took ${took} ms`);
    assertEquals(left.filter((path) => TEMPORARY.test(path)), [], what);
    for (const path of left) await assertWhole(join(out, path));
    if (ended) {
      assertEquals([ended, left, said], [signal, [], []], what);
      counts.early++;
    } else if (code === 0) counts.late++;
    else {
      assertEquals(code, STATUS[signal], what);
      const lines = said.filter((line) =>
        !/^(Converting|Downloading|Encoded|Preparing|tiny:|tokenizer) |^What was |^\d+ of \d+ /
          .test(line)
      );
      assertEquals(lines, ["Interrupted"], what);
      counts.interrupted++;
    }
    counts.slowest = Math.max(counts.slowest, took);
  }
  // a finished file of a model comes with all others
  if (left.includes("model/config.json")) assertEquals(left.length, 5, what);
  await Deno.remove(out, { recursive: true });
}

Deno.test("commands end at signals at any time, and leave nothing half-done", {
  ignore: Deno.build.os === "windows",
}, async (t) => {
  await inFolder(async (cwd) => {
    await using hub = new MockHub(tinyRepositories());
    for (const [repository, files] of Object.entries(tinyRepositories())) {
      await Deno.mkdir(join(cwd, "release", dirname(repository)), { recursive: true });
      for (const [path, content] of Object.entries(files)) {
        const at = join(cwd, "release", repository, path);
        await Deno.mkdir(dirname(at), { recursive: true });
        typeof content === "string"
          ? await Deno.writeTextFile(at, content)
          : await Deno.writeFile(at, content);
      }
    }
    await writeTraining(cwd);
    await Deno.writeFile(join(cwd, "in.png"), encodePng(new Uint8Array(4 * 1024).fill(99), 32, 32));
    const prepared = await start(["encode", "in.png", "-o", "in.safetensors"], cwd, "").output();
    assertEquals(prepared.code, 0);
    const { length } = hub.repositories[REPOSITORY]!["infinity_vae_d16.pth"]!;
    hub.faults.set("infinity_vae_d16.pth", { after: length - 200, drip: 2 });
    const next = random(SEED);
    for (const [name, args] of Object.entries(LINES)) {
      await t.step(name, async () => {
        // to its end once, to know how long it takes
        const counts: Counts = { early: 0, interrupted: 0, late: 0, killed: 0, slowest: 0 };
        await Deno.remove(join(cwd, "out"), { recursive: true }).catch(() => {});
        const began = performance.now();
        await Deno.mkdir(join(cwd, "out"));
        const { code, stderr } = await start(args, cwd, hub.endpoint).output();
        assertEquals(code, 0, new TextDecoder().decode(stderr));
        const whole = performance.now() - began;
        await Deno.remove(join(cwd, "out"), { recursive: true });
        for (let i = 0; i < COUNT; i++) {
          if (name === "pull") {
            await Deno.remove(join(cwd, "hf"), { recursive: true }).catch(() => {});
          }
          const signal = SIGNALS[i % SIGNALS.length]!;
          await interrupt(args, { cwd, hub: hub.endpoint, signal, after: next() * whole }, counts);
        }
        if (COUNT > 3) console.log(`${name}: ${JSON.stringify(counts)}`);
      });
    }
  });
});
