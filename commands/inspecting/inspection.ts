/** What was found: for people, and for `--json`. */
export interface Inspection {
  readonly lines: readonly string[];
  readonly report: unknown;
}

/** Formats a number of parameters. */
export function countText(parameters: number): string {
  if (parameters < 1e6) return parameters.toLocaleString("en");
  const [value, unit] = parameters < 1e9 ? [parameters / 1e6, "M"] : [parameters / 1e9, "B"];
  return `${value.toFixed(2)} ${unit} (${parameters.toLocaleString("en")})`;
}
