import { parseArgs } from "../../deps/@std/cli/parse-args.ts";
import { nearest } from "../../model/config/nearest.ts";

/** The command line cannot be understood; the process ends with 2. */
export class UsageError extends Error {
  /** Always `"UsageError"`. */
  override readonly name: string = "UsageError";
}

/** How the text of a flag becomes its value. */
export interface FlagType<T> {
  /** What stands for the value in the help; absent for a switch. */
  readonly value?: string;
  /** What it must be, for messages. */
  readonly need: string;
  /** The value, or `undefined` if the text is none. */
  read(text: string): T | undefined;
}

/** One flag: what parsing, help and suggestions know of it. */
export interface Flag<T = unknown> {
  /** One letter. */
  readonly alias?: string;
  /** How its value is read. */
  readonly type: FlagType<T>;
  /** One line for the help. */
  readonly help: string;
  /** May be given several times. */
  readonly many?: boolean;
}

/** A command's flags by name. */
export type Flags = Readonly<Record<string, Flag>>;

/** What was given, by name. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]?: F[K] extends { type: FlagType<infer T> }
    ? F[K] extends { many: true } ? readonly T[] : T
    : never;
};

/** A command, as its help tells it. */
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

/** A command line, read. */
export interface Parsed<F extends Flags> {
  /** Flags by name. */
  readonly values: Values<F>;
  /** The words that are not flags. */
  readonly words: readonly string[];
  /** Whether help was asked for; then nothing else was checked. */
  readonly help: boolean;
}

/** Text as it is. */
export const text: FlagType<string> = { value: "TEXT", need: "text", read: (given) => given };

/** The name of a file or folder. */
export const path: FlagType<string> = {
  value: "FILE",
  need: "a file name",
  read: (given) => given || undefined,
};

/** A whole number. */
export const whole: FlagType<number> = {
  value: "N",
  need: "a whole number",
  read: (given) => /^-?\d{1,15}$/.test(given) ? Number(given) : undefined,
};

/** A number. */
export const number: FlagType<number> = {
  value: "N",
  need: "a number",
  read: (given) => given.trim() && Number.isFinite(Number(given)) ? Number(given) : undefined,
};

/** A number, or one for each scale. */
export const numbers: FlagType<number | number[]> = {
  value: "N[,N…]",
  need: "a number, or a comma-separated list of one per scale",
  read(given) {
    const list = given.split(",").map(number.read);
    if (list.includes(undefined)) return undefined;
    return list.length === 1 ? list[0] : list as number[];
  },
};

/** A seed of 64 bits, or −1. */
export const seed: FlagType<bigint> = {
  value: "N",
  need: "a whole number from 0 to 2^64 - 1, or -1 for a random one",
  read: (given) =>
    /^-1$|^\d{1,20}$/.test(given) && BigInt(given) < 2n ** 64n ? BigInt(given) : undefined,
};

/** The seed that {@link seed} stands for: −1 is one drawn now. */
export function drawnSeed(given: bigint | undefined): bigint | undefined {
  return given === -1n ? BigInt(crypto.getRandomValues(new Uint32Array(1))[0]!) : given;
}

/** A seed in JSON: what a number there cannot hold is a string. */
export function jsonSeed(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `${value}`;
}

/** Bytes, in decimal units. */
export const bytes: FlagType<number> = {
  value: "SIZE",
  need: "a size, such as 8G or 500M",
  read(given) {
    const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)([kMGT]?)B?$/i.exec(given) ?? [];
    const power = ["", "k", "m", "g", "t"].indexOf(unit.toLowerCase());
    return Number(count) > 0 ? Number(count) * 1000 ** power : undefined;
  },
};

/** True by being there. */
export const on: FlagType<boolean> = { need: "true or false", read: (given) => given === "true" };

/** One of a few words. */
export function oneOf<const T extends string>(...words: T[]): FlagType<T> {
  return {
    value: words.join("|"),
    need: words.join(" or "),
    read: (given) => words.find((word) => word === given),
  };
}

const HELP: Flag = { alias: "h", type: on, help: "Show this help" };

/**
 * Reads the arguments of a command.
 *
 * @throws {UsageError} one line that names the flag, and the nearest one if there is none of that name.
 */
export function parseFlags<const F extends Flags>(
  { name: command, flags, words: wanted }: Spec<F>,
  args: readonly string[],
): Parsed<F> {
  const table: Flags = { ...flags, help: HELP };
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
        `Cannot read --${name} ${JSON.stringify(value)}: it must be ${flag.type.need}`,
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
    const short = /^-([A-Za-z])(.*)$/s.exec(arg);
    const name = short
      ? Object.keys(flags).find((key) => flags[key]!.alias === short[1])
      : arg.startsWith("--")
      ? arg.slice(2)
      : undefined;
    const flag = name !== undefined && Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (short && short[2] && !flag) refuseUnknown(`-${short[1]}`, flags, command);
    if (flag?.type.value === undefined) joined.push(arg);
    else if (short?.[2]) joined.push(`--${name}=${short[2].replace(/^=/, "")}`);
    else if (i + 1 === args.length || isFlag(flags, args[i + 1]!)) {
      throw new UsageError(`Flag ${arg} for ${command} needs a value: ${flag.type.need}`);
    } else joined.push(`--${name}=${args[++i]}`);
  }
  return joined;
}

function isFlag(flags: Flags, arg: string): boolean {
  if (arg.startsWith("--")) return Object.hasOwn(flags, arg.slice(2).replace(/=.*/s, ""));
  return Object.values(flags).some(({ alias }) => alias && arg === `-${alias}`);
}

function refuseUnknown(arg: string, flags: Flags, command: string): never {
  const word = nearest(arg.replace(/^-+/, ""), Object.keys(flags));
  const advice = word ? `did you mean --${word}?` : "see --help";
  throw new UsageError(`Unknown flag ${arg} for ${command}: ${advice}`);
}

/** The help of a command. */
export function help({ name, summary, words, flags, notes = [] }: Spec): string {
  const rows = Object.entries({ ...flags, help: HELP }).map(([key, { alias, type, help }]) => {
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
