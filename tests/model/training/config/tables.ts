import { isKey, type Key } from "../../../../model/training/config/keys.ts";
import { TABLE } from "../../../../model/training/config/tables.ts";

type Entries = readonly (readonly [string, Key<unknown>])[];

/** The keys of a table, those of tables in it with dots. */
function entriesOf(table: object, path = ""): Entries {
  return Object.entries(table).flatMap(([name, entry]) =>
    isKey(entry) ? [[path + name, entry] as const] : entriesOf(entry as object, `${path}${name}.`)
  );
}

function shown(value: unknown): string {
  if (value === null || value === "") return "";
  return typeof value === "string" ? `\`"${value}"\`` : `\`${JSON.stringify(value)}\``;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function meaning({ help, need }: Key<unknown>): string {
  return `${help} (${need})`;
}

const STAGES = ["tokenizer", "transformer", "decoder"] as const;

/** The rows of the tables in docs/training.md: of the whole file, of data, and of stages with their defaults. */
export function documentedRows(): string[] {
  const { tokenizer: _, transformer: __, decoder: ___, data, ...root } = TABLE;
  const stages = STAGES.map((stage) => new Map(entriesOf(TABLE[stage])));
  const names = new Set(stages.flatMap((keys) => [...keys.keys()]));
  return [
    ...entriesOf(root).map(([name, key]) => row([`\`${name}\``, shown(key.absent), meaning(key)])),
    ...entriesOf(data).map(([name, key]) =>
      row([`\`data.${name}\``, shown(key.absent), meaning(key)])
    ),
    ...[...names].map((name) =>
      row([
        `\`${name}\``,
        ...stages.map((keys) => keys.has(name) ? shown(keys.get(name)!.absent) : "–"),
        meaning(stages.find((keys) => keys.has(name))!.get(name)!),
      ])
    ),
  ];
}
