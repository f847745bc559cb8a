// Every command with every flag and odd values: one line, a typed error, the right status, no file.
import "../backend.ts";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { flagsOf } from "../../commands/flags/flags.ts";
import { COMMANDS } from "../../commands/registry.ts";
import { encodeBitsFile } from "../../model/bits/bits_file.ts";
import { encodePng } from "../../model/image/png.ts";
import { fakeIo, filesIn, inFolder, withoutAdapter } from "./process.ts";

/** Values that no flag expects, or that only some may take. */
const VALUES: readonly string[] = [
  ...["", " ", "\n", "-", "--", "=", ",", "1,", "1,,2", "@", "@@", "@-", "@nope"],
  ...[
    "0",
    "-0",
    "-1",
    "+1",
    " 1 ",
    "1.5",
    "1e3",
    "1e-400",
    "1e999",
    "0x10",
    "0b1",
    "1_000",
    "٣",
    "½",
  ],
  ...[
    "NaN",
    "Infinity",
    "-Infinity",
    "9".repeat(400),
    "18446744073709551616",
    "-2",
    "true",
    "null",
  ],
  ...[
    "a\0b",
    "x".repeat(5000),
    "/".repeat(5000),
    "\ud800",
    "💥",
    "%s%n%d",
    "%999999999d",
    "../..",
    "/",
    "~",
  ],
  ...["file:///", "file://x/y", "file:///%ff", "file://%", "data:,x", "ftp://x/"],
  ...["http://", "http://[", "https://x y/", "HTTPS://"],
  ...["1x1", "0x0", "-1x-1", "1x1,", "1x1,1x1", "4x4,1x1", "99999999x99999999", "1x", "x"],
  ...["8G", "0G", "0", "1e9G", "9".repeat(400) + "T", "1G G"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "_"],
  ...["/dev/null", "/dev/full", "/proc/self/mem", "/proc/self/fd/99", "/dev/fd/0", "/dev/stdin/x"],
];

/** Arguments as a whole, in place of a flag and its value. */
const ARGUMENTS: readonly (readonly string[])[] = [
  ...["--_=x", "--_", "-_", "-q_", "-_q", "-q=_", "--_.x", "--__proto__", "--__proto__=x"],
  ...["--constructor", "--toString=1", "--=", "--=x", "--a.b=1", "-=", "-0", "-1", "- ", "-vq"],
  ...["-", "--", "---", "--no-json", "--no-", "--json=maybe", "--help=x"],
  ...["", " ", "\n", "\0", "-\0", "--\0", "\ud800", "--\ud800", "-💥"],
  ...["x".repeat(100_000), `--${"x".repeat(100_000)}`],
].map((arg) => [arg]).concat([
  ["--", "--"],
  ["--", "--json"],
  ["--", "-", "-"],
  ["-", "-"],
  ["", ""],
  ["--seed", "1", "--seed", "x"],
  ["--output", "a.png", "--output", ""],
  Array(2000).fill("x"),
  Array(2000).fill("--x"),
]);

/** The words without which a command does nothing. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  generate: ["red apple"],
  encode: ["in.png"],
  decode: ["in.safetensors"],
  reconstruct: ["in.png"],
  variations: ["in.png", "red apple"],
  interpolate: ["in.png", "in.png"],
  analyze: ["in.png"],
  inspect: ["in.png"],
  convert: ["in.safetensors", "-o", "made.safetensors"],
  pull: ["2b"],
  serve: ["-m", "nowhere"],
  completions: ["bash"],
};

/** Milliseconds for a command, also where other work keeps the machine busy. */
const DEADLINE = 20_000;

/** What is wrong with how a command ended in a folder, if anything. */
async function faultOf(args: readonly string[], folder: string): Promise<string | undefined> {
  const io = fakeIo();
  const began = performance.now();
  let code;
  try {
    code = await main(args, io);
  } catch (error) {
    return `it rejects: ${error}`;
  }
  const took = performance.now() - began;
  if (took > DEADLINE) return `it takes ${took.toFixed(0)} ms`;
  const left = filesIn(folder).filter((name) => !INPUTS.includes(name));
  for (const name of left) await Deno.remove(name, { recursive: true });
  if (code === 0) {
    const nonsense = /NaN|undefined|Infinity|\[object|-0\b/.exec(io.text())?.[0];
    const echoed = args.some((arg) => arg.includes(nonsense!));
    return nonsense && !echoed ? `it prints ${nonsense}` : undefined;
  }
  if (left.length) return `it leaves ${left.join(", ")}`;
  const lines = io.errors().split("\n").filter((line) => /^error: /.test(line));
  if (code !== 1 && code !== 2) return `it ends with ${code}: ${io.errors()}`;
  if (args[0] === "doctor" && /^missing |"missing"/m.test(io.text())) return undefined;
  if (lines.length !== 1) return `${lines.length} errors: ${io.errors()}`;
  if (io.errors().endsWith(`${lines[0]}\n`) === false) return `more than errors: ${io.errors()}`;
  if (lines[0]!.length > 1300) return `an error of ${lines[0]!.length} characters`;
  if (/BITWISE_DEBUG/.test(lines[0]!)) return `an error without a type: ${lines[0]}`;
  return undefined;
}

const INPUTS = ["in.png", "in.safetensors"];

/** Runs a test in a folder with an image and a file of bits, which is the working directory. */
function atWork(test: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.cwd();
  return inFolder(async (folder) => {
    await Deno.writeFile(join(folder, "in.png"), encodePng(Uint8Array.of(1, 2, 3, 255), 1, 1));
    await Deno.writeFile(
      join(folder, "in.safetensors"),
      encodeBitsFile({
        width: 32,
        height: 32,
        d: 32,
        latent: [2, 2],
        schedule: [[1, 1], [2, 2]],
        scales: [new Uint8Array(32), new Uint8Array(128)],
      }),
    );
    Deno.chdir(folder);
    try {
      await withoutAdapter(() => test(folder));
    } finally {
      Deno.chdir(before);
    }
  });
}

// no test asks a hub of others
Deno.env.set("HF_ENDPOINT", "none");

for (const [name, { load }] of Object.entries(COMMANDS)) {
  Deno.test(`${name} meets any value of any flag with one line`, () =>
    atWork(async (folder) => {
      const { spec } = await load();
      const faults: string[] = [];
      const meet = async (args: readonly string[]) => {
        // with nothing wrong it would serve
        if (name === "serve" && `${args}` === "--") return;
        const fault = await faultOf([name, ...args], folder);
        const said = args.map((arg) => JSON.stringify(arg.slice(0, 30))).join(" ");
        if (fault) faults.push(`${name} ${said}: ${fault.slice(0, 300)}`);
      };
      const words = WORDS[name] ?? [];
      for (const args of ARGUMENTS) {
        await meet(args);
        await meet([...words, ...args]);
        await meet([...args, ...words]);
      }
      for (const value of VALUES) {
        await meet([value]);
        await meet(["--", value]);
        await meet([...words, value]);
      }
      for (const [flag, { alias, type }] of Object.entries(flagsOf(spec))) {
        if (flag === "help") continue;
        if (type.value === undefined) {
          await meet([...words, `--${flag}`, `--${flag}`]);
          await meet([...words, `--${flag}=x`]);
          continue;
        }
        await meet([...words, `--${flag}`]);
        for (const value of VALUES) {
          await meet([...words, `--${flag}=${value}`]);
          if (alias) await meet([...words, `-${alias}`, value]);
        }
      }
      assertEquals(faults, []);
    }));
}
