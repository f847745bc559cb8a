/** Formats a table: columns are as wide as their widest cell, and aligned to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, c) =>
    rows.reduce((width, row) => Math.max(width, row[c]!.length), head.length)
  );
  return [heads, ...rows].map((row) => row.map((cell, c) => cell.padStart(widths[c]!)).join("  "));
}

/** Formats a ratio in dB; `null` is that of two equal images. */
export function decibels(value: number | null): string {
  return value === null ? "equal" : value.toFixed(2);
}
