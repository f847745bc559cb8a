/** What was found: for people, and for `--json`. */
export interface Inspection {
  readonly lines: readonly string[];
  readonly report: unknown;
}

/** Replaces control characters: names come from files of others, and must not move the cursor. */
export function printable(name: string): string {
  // deno-lint-ignore no-control-regex -- that is the point
  return name.replace(/[\x00-\x1f\x7f-\x9f]/g, "�");
}

/** Formats a number of parameters. */
export function countText(parameters: number): string {
  if (parameters < 1e6) return parameters.toLocaleString("en");
  const [value, unit] = parameters < 1e9 ? [parameters / 1e6, "M"] : [parameters / 1e9, "B"];
  return `${value.toFixed(2)} ${unit} (${parameters.toLocaleString("en")})`;
}
