import { type Chart, image, lines, type Series } from "../../charts/svg.ts";
import type { Report } from "./types.ts";

/** The most points of a line; more are averaged, so that noise does not hide the course. */
const POINTS = 200;

/** Larger numbers are left out: they are no measurements, and would hide the others. */
const LARGEST = 1e30;

/** Draws what a log says as SVG: loss, bit accuracy of each scale, PSNR, learning rate and speed, by stage. */
export function curves(reports: readonly Report[], name: string): string {
  const stages = Map.groupBy(reports, ({ stage }) => stage);
  const charts = [...stages].flatMap(([stage, own]) => chartsOf(stage, own));
  return image(`Training of ${name}`, charts);
}

function chartsOf(stage: string, reports: readonly Report[]): Chart[] {
  const scales = Math.max(0, ...reports.map(({ bit_accuracy }) => bit_accuracy?.length ?? 0));
  const terms = [...new Set(reports.flatMap(({ losses }) => Object.keys(losses ?? {})))];
  const accuracy = Array.from(
    { length: scales },
    (_, s) => series(`scale ${s + 1}`, reports, ({ bit_accuracy }) => bit_accuracy?.[s]),
  );
  return [
    chart(`${stage}: loss`, "loss", [series("loss", reports, ({ loss }) => loss)]),
    chart(
      `${stage}: terms of the loss`,
      "",
      terms.map((term) => series(term, reports, ({ losses }) => losses?.[term])),
    ),
    chart(`${stage}: share of bits that are right`, "share", accuracy),
    chart(`${stage}: PSNR`, "dB", [series("decoded", reports, ({ psnr }) => psnr)]),
    chart(`${stage}: learning rate`, "", [series("rate", reports, (r) => r.learning_rate)]),
    chart(`${stage}: speed`, "images/s", [
      series("images", reports, ({ images_per_second }) => images_per_second),
    ]),
  ].flatMap((chart) => chart ?? []);
}

function chart(title: string, y: string, all: readonly Series[]): Chart | null {
  const drawn = all.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return null;
  return lines(title, { x: "step", y, scales: ["linear", "linear"] }, drawn);
}

/** A line of at most {@link POINTS} points, each a mean of neighbours. */
function series(
  name: string,
  reports: readonly Report[],
  value: (report: Report) => number | undefined,
): Series {
  const all = reports.flatMap((report) => {
    const y = value(report);
    return typeof y === "number" && Math.abs(y) < LARGEST ? [{ x: report.step, y }] : [];
  });
  const size = Math.ceil(all.length / POINTS) || 1;
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const points = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => {
    const some = all.slice(i * size, (i + 1) * size);
    return { x: mean(some.map(({ x }) => x)), y: mean(some.map(({ y }) => y)) };
  });
  return { name, points };
}
