// Command lines: words and flags in any order, in a folder with files of every kind and without a GPU.
import { main } from "../../../cli.ts";
import type { Command } from "../../../commands/command.ts";
import { flagsOf } from "../../../commands/flags/flags.ts";
import type { FlagType } from "../../../commands/flags/types.ts";
import { COMMANDS } from "../../../commands/registry.ts";
import { encodeSafetensors, InputError } from "../../../engine/mod.ts";
import { encodeBitsFile } from "../../../model/bits/bits_file.ts";
import { encodePng } from "../../../model/image/png.ts";
import nano from "../../../assets/models/emoji-nano/config.json" with { type: "json" };
import { fakeIo } from "../../commands/fake_io.ts";
import { JPEG, WEBP } from "../../model/image/image_files.ts";
import { GOOD } from "../../model/release/torch/hostile_checkpoints.ts";
import { pth, storage } from "../../model/release/torch/torch_files.ts";
import { mutateText, number, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader, textFault } from "../reader.ts";

const utf8 = (of: string) => new TextEncoder().encode(of);
const data = new Float32Array(12).fill(0.5);

/** The files that command lines may name. */
const FILES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  "a.png": encodePng(new Uint8Array(64 * 64 * 4).fill(99), 64, 64, {
    parameters: "red apple\nSteps: 4, Seed: 1, Size: 32x32",
  }),
  "a.jpg": JPEG,
  "a.webp": WEBP,
  "bits.safetensors": encodeBitsFile({
    width: 32,
    height: 32,
    d: 32,
    latent: [4, 4],
    schedule: [[1, 1]],
    scales: [new Uint8Array(32)],
  }),
  "a.safetensors": encodeSafetensors([{ name: "image", dtype: "F32", shape: [3, 2, 2], data }]),
  "a.pth": pth(GOOD, [storage("0", "Float", data.subarray(0, 6))]),
  "a.txt": utf8("red apple\n\x1b[2Jpurple cat\n"),
  "pointer.safetensors": utf8("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
  "page.pth": utf8("<!DOCTYPE html><html>"),
  "\x1b[31m.png": utf8("x"),
  "model/config.json": utf8(JSON.stringify(nano)),
  "model/tokenizer.json": utf8("{}"),
};
const PATHS = [
  ...Object.keys(FILES),
  "model",
  "none",
  "-",
  ".",
  "out.png",
  "out%03d.png",
  "",
  "/dev/null",
];

const SPECS = new Map<string, Command["spec"]>();
for (const [name, { load }] of Object.entries(COMMANDS)) SPECS.set(name, (await load()).spec);

/** Which models a command line may name: none that is downloaded or generates. */
const MODELS = [
  "model",
  "2b",
  "125m",
  "8b",
  "none",
  "http://",
  "file:///%ff",
  "https://hub.invalid/m",
];

/** How many files or words a command wants, if not one. */
const WANTS: Readonly<Record<string, number>> = {
  demo: 0,
  doctor: 0,
  plan: 0,
  worker: 0,
  interpolate: 2,
};

function word(random: Random): string {
  return random.pick<() => string>([
    () => random.pick(PATHS),
    () => random.pick(PATHS),
    () => random.pick(MODELS),
    () => text(random),
    () => `${number(random)}`,
    () =>
      random.pick(["red apple", "32x32", "1x1,2x2", "f16", "q4_0", "1,2,3", "8GB", "kv", "0.5"]),
  ])();
}

/** What a flag may be given: mostly something that it takes. */
function valueOf(random: Random, { read, need }: FlagType<unknown>): string {
  const isTaken = (given: string) => {
    try {
      return read(given) !== undefined;
    } catch {
      return false;
    }
  };
  const named = need.split(/[ ,]+/);
  const next = () => random.chance(0.3) ? random.pick(named) : word(random);
  const words = Array.from({ length: random.chance(0.9) ? 20 : 1 }, next);
  return words.find(isTaken) ?? words[0]!;
}

function line(random: Random): string[] {
  const name = random.chance(0.97) ? random.pick([...SPECS.keys()]) : text(random);
  const spec = SPECS.get(name);
  const flags = Object.entries(spec ? flagsOf(spec) : {});
  const flag = (): string[] => {
    if (!flags.length) return [word(random)];
    const [long, { alias, type }] = random.pick(flags);
    const spelt = alias && random.chance(0.3)
      ? `-${alias}`
      : `--${random.chance(0.97) ? long : mutateText(random, long)}`;
    if (type.value === undefined && random.chance(0.9)) return [spelt];
    const value = valueOf(random, type);
    return random.chance(0.5) ? [spelt, value] : [`${spelt}=${value}`];
  };
  const count = random.chance(0.9) ? WANTS[name] ?? 1 : random.below(4);
  const files = Array.from(
    { length: count },
    () => random.chance(0.9) ? random.pick(PATHS) : word(random),
  );
  return [
    name,
    ...files,
    ...random.list(0, 5, () => random.chance(0.97) ? flag() : [word(random)]).flat(),
  ];
}

/** Puts the files into the working folder as they were, and removes all others. */
function tidy(): void {
  for (const { name } of Deno.readDirSync(".")) {
    if (name !== "model" && !Object.hasOwn(FILES, name)) Deno.removeSync(name, { recursive: true });
  }
  Deno.mkdirSync("model", { recursive: true });
  for (const [name, bytes] of Object.entries(FILES)) {
    const { size } = stat(name) ?? {};
    if (size !== bytes.length) Deno.writeFileSync(name, bytes);
  }
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

export const commands = reader({
  usesFiles: true,
  deadline: 3000,
  make: (random) => ({
    args: line(random),
    stdin: random.chance(0.5) ? random.bytes(20) : random.pick(Object.values(FILES)),
  }),
  async read({ args, stdin }) {
    tidy();
    const gpu = { requestAdapter: () => Promise.resolve(null) };
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
    const io = fakeIo(stdin);
    const code = await main(args, io);
    claim([0, 1, 2].includes(code), `status ${code}`);
    for (const line of io.text().split("\n")) {
      claim(!/[^\P{Cc}\t]/u.test(line), `control characters in ${JSON.stringify(line)}`);
    }
    // deno-lint-ignore no-control-regex -- the colours of --color always
    const plain = io.errors().replaceAll(/^\x1b\[1;\d\dm(error|warning):\x1b\[0m/gm, "$1:");
    const said = plain.split("\n").filter((line) => line !== "");
    for (const line of said) {
      const fault = textFault(line.replaceAll("\t", " "));
      claim(fault === null, fault ?? "");
    }
    const errors = said.filter((line) => line.startsWith("error: "));
    claim(
      errors.length === (code === 0 ? 0 : 1) || code !== 0 && args.includes("doctor"),
      `one error: ${said.join(" | ")}`,
    );
    claim(!/BITWISE_DEBUG=1 for/.test(said.join()), `a typed error, not ${errors[0]}`);
    if (code !== 0) throw new InputError("refused", "The command refuses");
  },
});
