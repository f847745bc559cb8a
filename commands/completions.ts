import { type Command, command, type Entry } from "./command.ts";
import { flagsOf, type Spec, UsageError } from "./flags/flags.ts";

/** A command, as completion knows it. */
interface Known {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly KnownFlag[];
  /** The words that it takes; empty if they are free, such as files. */
  readonly words: readonly string[];
}

interface KnownFlag {
  readonly name: string;
  readonly alias?: string;
  readonly help: string;
  /** Whether a value follows. */
  readonly takesValue: boolean;
  /** The words that its value may be; empty if it is free, such as a file. */
  readonly words: readonly string[];
}

const SHELLS = { bash, zsh, fish } as const;

/** Makes `bitwise completions` for some commands: a script for a shell, generated from their flags. */
export function completionsOf(commands: Readonly<Record<string, Entry>>): Command {
  return command(
    {
      name: "completions",
      summary: "Prints a script that completes commands and flags in a shell.",
      words: "bash|zsh|fish",
      flags: {},
      notes: [
        "bash: bitwise completions bash > ~/.local/share/bash-completion/completions/bitwise",
        "zsh:  bitwise completions zsh > a folder of $fpath, as _bitwise",
        "fish: bitwise completions fish > ~/.config/fish/completions/bitwise.fish",
      ],
    },
    async (_given, [shell, ...rest], io) => {
      if (shell === undefined || rest.length || !Object.hasOwn(SHELLS, shell)) {
        throw new UsageError("Cannot print completions: name one shell, bash, zsh or fish");
      }
      const known = await Promise.all(
        Object.entries(commands).map(async ([name, { summary, load }]) => {
          const { spec } = await load();
          return { name, summary, flags: flagsKnown(spec), words: choicesOf(spec.words) };
        }),
      );
      io.out(SHELLS[shell as keyof typeof SHELLS](known));
      return 0;
    },
  );
}

function flagsKnown(spec: Spec): KnownFlag[] {
  return Object.entries(flagsOf(spec)).map(([name, { alias, help, type }]) => ({
    name,
    alias,
    help,
    takesValue: type.value !== undefined,
    words: choicesOf(type.value),
  }));
}

/** The words of `a|b|c`; none if the text is something else. */
function choicesOf(text = ""): string[] {
  return /^[a-z0-9_]+(\|[a-z0-9_]+)+$/.test(text) ? text.split("|") : [];
}

function spellings({ name, alias }: KnownFlag): string[] {
  return [`--${name}`, ...alias ? [`-${alias}`] : []];
}

function bash(commands: readonly Known[]): string {
  const choices = (flags: readonly KnownFlag[]) =>
    flags.filter(({ words }) => words.length).map((flag) =>
      `        ${spellings(flag).join("|")}) words="${flag.words.join(" ")}" ;;`
    );
  const cases = commands.flatMap(({ name, flags, words }) => [
    `    ${name})`,
    ...words.length ? [`      choices="${words.join(" ")}"`] : [],
    `      case "$before" in`,
    ...choices(flags),
    `        ${
      flags.filter((f) => f.takesValue && !f.words.length).flatMap(spellings).join("|") || '""'
    }) ;;`,
    `        *) words="${flags.flatMap(spellings).join(" ")}" ;;`,
    "      esac ;;",
  ]);
  return [
    "# bash completion of bitwise",
    "_bitwise() {",
    '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words="" choices=""',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")}" -- "$word"))`,
    "    return",
    "  fi",
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    "  esac",
    '  case "$word" in',
    '    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;',
    '    *) case "$words" in',
    '      ""|-*) if [ -n "$choices" ]; then COMPREPLY=($(compgen -W "$choices" -- "$word"))',
    '        else COMPREPLY=($(compgen -f -- "$word")); fi ;;',
    '      *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;',
    "    esac ;;",
    "  esac",
    "}",
    "complete -o filenames -F _bitwise bitwise",
  ].join("\n");
}

/** Text within single quotes of zsh's _arguments, where brackets and colons have a meaning. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&").replaceAll("'", "'\\''");
}

function zsh(commands: readonly Known[]): string {
  const value = ({ takesValue, words }: KnownFlag) =>
    words.length ? `:value:(${words.join(" ")})` : takesValue ? ":value:_files" : "";
  const cases = commands.flatMap(({ name, flags, words }) => [
    `    ${name})`,
    "      _arguments \\",
    ...flags.flatMap((flag) =>
      spellings(flag).map((text) => `        '${text}[${zshText(flag.help)}]${value(flag)}' \\`)
    ),
    words.length ? `        '1:word:(${words.join(" ")})' ;;` : "        '*:file:_files' ;;",
  ]);
  return [
    "#compdef bitwise",
    "_bitwise() {",
    "  local -a commands=(",
    ...commands.map(({ name, summary }) => `    '${name}:${zshText(summary)}'`),
    "  )",
    "  if (( CURRENT == 2 )); then",
    "    _describe command commands",
    "    return",
    "  fi",
    "  local name=${words[2]}",
    "  shift words; (( CURRENT-- ))",
    "  case $name in",
    ...cases,
    "  esac",
    "}",
    'if [ "$funcstack[1]" = "_bitwise" ]; then _bitwise "$@"; else compdef _bitwise bitwise; fi',
  ].join("\n");
}

function fish(commands: readonly Known[]): string {
  const text = (given: string) => `'${given.replace(/[\\']/g, "\\$&")}'`;
  return [
    "# fish completion of bitwise",
    ...commands.map(({ name, summary }) =>
      `complete -c bitwise -n __fish_use_subcommand -f -a ${name} -d ${text(summary)}`
    ),
    ...commands.filter(({ words }) => words.length).map(({ name, words }) =>
      `complete -c bitwise -n "__fish_seen_subcommand_from ${name}" -f -a "${words.join(" ")}"`
    ),
    ...commands.flatMap(({ name, flags }) =>
      flags.map((flag) =>
        [
          `complete -c bitwise -n "__fish_seen_subcommand_from ${name}"`,
          `-l ${flag.name}`,
          ...flag.alias ? [`-s ${flag.alias}`] : [],
          ...flag.words.length
            ? [`-x -a "${flag.words.join(" ")}"`]
            : flag.takesValue
            ? ["-r"]
            : [],
          `-d ${text(flag.help)}`,
        ].join(" ")
      )
    ),
  ].join("\n");
}
