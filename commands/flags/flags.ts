import { parseArgs } from "../../deps/@std/cli/parse-args.ts";
import { BitwiseError, quote } from "../../engine/mod.ts";
import { nearest } from "../../model/config/nearest.ts";
import { type FlagType, on } from "./types.ts";

/** The command line is not understood; the process ends with 2. */
export class UsageError extends BitwiseError {
  /** Always `"UsageError"`. */
  override readonly name: string = "UsageError";

  /** Says in one line what was not understood. */
  constructor(message: string) {
    super("usage", message);
  }
}

/** One flag, as parsing, help and suggestions know it. */
export interface Flag<T = unknown> {
  /** One letter. */
  readonly alias?: string;
  /** How its value is read. */
  readonly type: FlagType<T>;
  /** One line of help. */
  readonly help: string;
  /** Whether it may be given several times. */
  readonly many?: boolean;
}

/** The flags of a command by name. */
export type Flags = Readonly<Record<string, Flag>>;

/** The values that were given, by name. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]?: F[K] extends { type: FlagType<infer T> }
    ? F[K] extends { many: true } ? readonly T[] : T
    : never;
};

/** A command, as its help describes it. */
export interface Spec<F extends Flags = Flags> {
  /** The word that calls it. */
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** What follows the flags, such as `[PROMPT]`; empty if nothing may. */
  readonly words: string;
  /** Its flags. */
  readonly flags: F;
  /** Lines below the flags. */
  readonly notes?: readonly string[];
}

/** A command line that was parsed. */
export interface Parsed<F extends Flags> {
  /** Flags by name. */
  readonly values: Values<F>;
  /** The words that are not flags. */
  readonly words: readonly string[];
  /** Whether help was asked for; if so, nothing else was checked. */
  readonly help: boolean;
}

const HELP: Flag = { alias: "h", type: on, help: "Show this help" };

/** All flags of a command, `--help` included. */
export function flagsOf({ flags }: Spec): Flags {
  return { ...flags, help: HELP };
}

/**
 * Reads the arguments of a command.
 *
 * @throws {UsageError} One line that names the flag and, if it is unknown, the nearest one.
 */
export function parseFlags<const F extends Flags>(
  spec: Spec<F>,
  args: readonly string[],
): Parsed<F> {
  const { name: command, words: wanted } = spec;
  const table = flagsOf(spec);
  const entries = Object.entries(table);
  const isSwitch = ({ type }: Flag) => type.value === undefined;
  const parsed: Record<string, unknown> = parseArgs<string, string, string>(
    attach(table, args, command),
    {
      boolean: entries.filter(([, flag]) => isSwitch(flag)).map(([name]) => name),
      string: [...entries.filter(([, flag]) => !isSwitch(flag)).map(([name]) => name), "_"],
      collect: entries.filter(([, flag]) => !isSwitch(flag)).map(([name]) => name),
      alias: Object.fromEntries(
        entries.flatMap(([name, { alias }]) => alias ? [[alias, name]] : []),
      ),
      unknown(arg, key) {
        if (key !== undefined) refuseUnknown(arg.replace(/=.*/s, ""), table, command);
      },
    },
  );
  const words = (parsed._ as unknown[]).map(String);
  if (parsed.help) return { values: {}, words, help: true };
  if (!wanted && words.length) {
    throw new UsageError(`Cannot use "${words[0]}": ${command} takes flags only, see --help`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, flag] of entries) {
    if (isSwitch(flag)) {
      if (parsed[name]) values[name] = true;
      continue;
    }
    const given = (parsed[name] ?? []) as string[];
    const read = given.map((value) => {
      const result = flag.type.read(value);
      if (result !== undefined) return result;
      throw new UsageError(
        `Cannot read --${name} ${quote(value)}: it must be ${flag.type.need}`,
      );
    });
    // given twice, the last one counts
    if (read.length) values[name] = flag.many ? read : read.at(-1);
  }
  return { values: values as Values<F>, words, help: false };
}

/** Joins each flag and its value, so that values may begin with a dash: `-s -1` becomes `--seed=-1`. */
function attach(flags: Flags, args: readonly string[], command: string): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return [...joined, ...args.slice(i)];
    // parseArgs keeps words under this name
    if (/^(--|-[A-Za-z]*=?)_/.test(arg)) refuseUnknown(arg.replace(/=.*/s, ""), flags, command);
    const short = /^-([A-Za-z])(.*)$/s.exec(arg);
    const name = short
      ? Object.keys(flags).find((key) => flags[key]!.alias === short[1])
      : arg.startsWith("--")
      ? arg.slice(2)
      : undefined;
    const flag = name !== undefined && Object.hasOwn(flags, name) ? flags[name] : undefined;
    refuseValue(flags, arg);
    if (short && short[2] && !flag) refuseUnknown(`-${short[1]}`, flags, command);
    if (flag?.type.value === undefined) joined.push(arg);
    else if (short?.[2]) joined.push(`--${name}=${short[2].replace(/^=/, "")}`);
    else if (i + 1 === args.length || isFlag(flags, args[i + 1]!)) {
      throw new UsageError(`Flag ${arg} for ${command} needs a value: ${flag.type.need}`);
    } else joined.push(`--${name}=${args[++i]}`);
  }
  return joined;
}

/** Refuses a switch that is given another value than a switch has. */
function refuseValue(flags: Flags, arg: string): void {
  const [, name = "", value = ""] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
  if (!Object.hasOwn(flags, name) || flags[name]!.type.value !== undefined) return;
  if (value === "true" || value === "false") return;
  throw new UsageError(`Cannot read --${name} ${quote(value)}: it must be ${on.need}`);
}

function isFlag(flags: Flags, arg: string): boolean {
  if (arg.startsWith("--")) return Object.hasOwn(flags, arg.slice(2).replace(/=.*/s, ""));
  return Object.values(flags).some(({ alias }) => alias && arg === `-${alias}`);
}

/** Flags of other tools, and what stands in their place here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "cfg": "cfg-scale",
  "guidance": "cfg-scale",
  "guidance-scale": "cfg-scale",
  "temperature": "tau",
  "negative": "negative-prompt",
  "batch": "batch-count",
  "batch-size": "batch-count",
  "n": "batch-count",
  "num-images": "batch-count",
  "init": "init-img",
  "image": "init-img",
  "denoise": "strength",
  "denoising-strength": "strength",
  "force": "overwrite",
  "dtype": "type",
  "device": "gpu",
  "vae-scales": "scales",
};

/** Flags of diffusion models that cannot mean anything here, and why. */
const MEANINGLESS: Readonly<Record<string, string>> = {
  "steps": "the number of scales follows from the size, or from --schedule",
  "sampling-method": "bits are sampled with --tau, --top-k and --top-p",
  "sampler": "bits are sampled with --tau, --top-k and --top-p",
  "scheduler": "the scales follow from the size, or from --schedule",
};

function refuseUnknown(arg: string, flags: Flags, command: string): never {
  const name = arg.replace(/^-+/, "");
  const start = `Unknown flag ${arg} for ${command}`;
  if (Object.hasOwn(MEANINGLESS, name) && Object.hasOwn(flags, "schedule")) {
    throw new UsageError(`${start}: ${MEANINGLESS[name]}`);
  }
  const word = suggestFlag(name, Object.keys(flags));
  throw new UsageError(`${start}: ${word ? `did you mean --${word}?` : "see --help"}`);
}

/** The flag that was meant: another tool's word for it, one with a slip, or one that was cut short. */
function suggestFlag(name: string, flags: readonly string[]): string | undefined {
  const known = Object.hasOwn(ELSEWHERE, name) ? ELSEWHERE[name]! : undefined;
  if (known !== undefined && flags.includes(known)) return known;
  const begun = flags.filter((flag) => name.length > 2 && flag.startsWith(name))
    .sort((a, b) => a.length - b.length);
  return begun[0] ?? nearest(name, flags);
}

/** The help of a command. */
export function help(spec: Spec): string {
  const { name, summary, words, notes = [] } = spec;
  const rows = Object.entries(flagsOf(spec)).map(([key, { alias, type, help }]) => {
    const flag = `${alias ? `-${alias}, ` : "    "}--${key}${type.value ? ` ${type.value}` : ""}`;
    return [flag, help] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return [
    summary,
    "",
    `Usage: bitwise ${name} [FLAGS]${words && ` ${words}`}`,
    "",
    ...rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`),
    ...notes.length ? ["", ...notes] : [],
  ].join("\n");
}
