import type { Done, Table } from "./study.ts";

/** docs/STUDIES.md: what was found, claim by claim. */
export function studiesText(studies: readonly Done[]): string {
  const head = `# Studies

Claims of the paper (arXiv 2412.04431), one of LoRA (arXiv 2106.09685) and one about the text
encoder, examined with models that are small enough for two CPU cores.
\`deno task study NAME\` repeats one and rewrites its part; \`--factor 4\` trains four times as long.
The numbers tell directions, not what large models reach.
`;
  return [head, ...studies.map(section)].join("\n");
}

function section(study: Done): string {
  const { name, title, method, tables, charts, notes, machine, factor, seconds } = study;
  const minutes = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
  const parts = [
    `## ${title}`,
    method,
    ...tables.map(tableText),
    ...charts.length > 0 ? [`![${title}](../bench/results/studies/${name}.svg)`] : [],
    ...notes,
    `\`deno task study ${name}${factor === 1 ? "" : ` --factor ${factor}`}\`: ${minutes} on ` +
    `${machine.adapter}, ${machine.cores} cores, bitwise ${machine.version}.`,
  ];
  return `${parts.join("\n\n")}\n`;
}

function tableText({ title, columns, rows }: Table): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [`${title}:`, "", line(columns), line(columns.map(() => "---")), ...rows.map(line)]
    .join("\n");
}
