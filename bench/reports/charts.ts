import type { Report } from "./report.ts";
import { bars, type Chart, image, lines, type Series } from "../../model/charts/svg.ts";

/** The charts of a report as one SVG: kernels against the ceilings, and how cost grows. */
export function reportCharts({ machine = {}, kernels, shapes, growth }: Report): string {
  const charts: Chart[] = [];
  if (typeof kernels === "object") {
    charts.push(bars(
      "Kernels: percent of the adapter's ceiling",
      kernels.rows.map(({ name, shape, percent }) => ({ label: `${name} ${shape}`, percent })),
    ));
  }
  for (const { title, rows } of typeof shapes === "object" ? shapes : []) {
    const sections = [...new Set(rows.map(({ section }) => section))];
    const total = rows.reduce((sum, row) => sum + row.milliseconds, 0);
    const share = (section: string) =>
      rows.reduce((sum, row) => row.section === section ? sum + row.milliseconds : sum, 0);
    charts.push(bars(
      `${title}: share of the GPU's time`,
      sections.map((label) => ({ label, percent: 100 * share(label) / total })),
    ));
  }
  if (growth) {
    for (
      const [axis, name] of [["batch", "images"], ["resolution", "pixels"], [
        "model size",
        "parameters",
      ]] as const
    ) {
      const own = growth.rows.filter((row) => row.axis === axis);
      if (own.length === 0) continue;
      const models = axis === "model size" ? [""] : [...new Set(own.map(({ model }) => model))];
      const series = (value: (row: (typeof own)[number]) => number): Series[] =>
        models.map((model) => ({
          name: model || "synthetic, 256x256",
          points: own.filter((row) => (!model || row.model === model) && value(row) > 0)
            .map((row) => ({ x: row.size, y: value(row), planned: row.measured === null })),
        }));
      const seconds = series((row) => (row.measured?.wall ?? row.planned) / 1000);
      charts.push(lines(`Seconds by ${axis} (hollow: planned)`, { x: name, y: "s" }, seconds));
      charts.push(
        lines(`Peak memory by ${axis}`, { x: name, y: "bytes" }, series((row) => row.peak)),
      );
    }
  }
  return image(
    `${machine.Adapter ?? ""}, ${machine.CPU ?? ""}, Deno ${machine.Deno ?? ""}`,
    charts,
  );
}
