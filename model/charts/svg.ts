/**
 * Plain charts as SVG, which follow the reader's choice of light or dark.
 *
 * @module
 */

const WIDTH = 800;
/** Colours of series, legible on white and on black. */
const COLOURS = ["#3b82f6", "#ef4444", "#10b981", "#f59e0b", "#a78bfa", "#06b6d4"];
const STYLE = `text { font: 12px system-ui, sans-serif; fill: #1f2937 }
.title { font-weight: bold }
.paper { fill: #ffffff }
.frame { fill: none; stroke: #9ca3af }
.grid { stroke: #e5e7eb }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb }
  .paper { fill: #111827 }
  .frame { stroke: #6b7280 }
  .grid { stroke: #374151 }
}`;

/** A part of an image: SVG elements in a box of WIDTH × `height`. */
export interface Chart {
  /** Pixels down. */
  readonly height: number;
  /** Elements, as text. */
  readonly svg: string;
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!);
}

function text(x: number, y: number, content: string, more: string = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escape(content)}</text>`;
}

/** Draws horizontal bars from 0 to 100 %. */
export function bars(title: string, rows: readonly { label: string; percent: number }[]): Chart {
  const left = 360, step = 16, top = 30;
  const scale = (WIDTH - left - 60) / 100;
  const body = rows.map(({ label, percent }, i) => {
    const y = top + i * step;
    const width = Math.min(110, percent) * scale;
    return text(left - 8, y + 11, label, `text-anchor="end"`) +
      `<rect x="${left}" y="${y + 2}" width="${width.toFixed(1)}" height="11" fill="${
        COLOURS[0]
      }"/>` +
      text(left + width + 4, y + 11, `${percent.toFixed(0)}%`);
  });
  return {
    height: top + rows.length * step + 20,
    svg: text(0, 16, title, `class="title"`) + body.join("\n"),
  };
}

/** Points of a line. */
export interface Series {
  /** What stands beside the line. */
  readonly name: string;
  /** From left to right. Those with a `planned` are drawn as circles, hollow where it is true. */
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly planned?: boolean;
  }[];
}

/** How an axis is divided. */
export type Scale = "linear" | "logarithmic";

/** Names and scales of a chart's axes. */
export interface Axes {
  /** What lies below the chart. */
  readonly x: string;
  /** What stands above its left side. */
  readonly y: string;
  /** Of both axes, or of each; logarithmic if absent. */
  readonly scales?: readonly [x: Scale, y: Scale];
}

/** An axis: where values lie on it, from 0 to 1, and its marks. */
interface Axis {
  place(value: number): number;
  readonly marks: readonly number[];
}

/** Formats a number with few digits, and a letter for thousands. */
function brief(value: number): string {
  const size = Math.abs(value);
  const power = size < 1 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3 + 1e-9));
  return `${Number((value / 1000 ** power).toPrecision(3))}${["", "k", "M", "G", "T"][power]}`;
}

/** Makes an axis that holds all values. */
function axis(values: readonly number[], scale: Scale): Axis {
  const [low, high] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
  if (scale === "linear") return linear(low, high);
  const [from, to] = low === high
    ? [Math.log10(low) - 0.5, Math.log10(high) + 0.5]
    : [Math.log10(low), Math.log10(high)];
  return {
    place: (value) => (Math.log10(value) - from) / (to - from),
    marks: [0, 1 / 3, 2 / 3, 1].map((part) => 10 ** (from + part * (to - from))),
  };
}

/** An axis between round numbers, with three to six steps of 1, 2 or 5 times a power of ten. */
function linear(low: number, high: number): Axis {
  const size = Math.max(Math.abs(low), Math.abs(high), 1e-30);
  if (high - low <= 1e-9 * size) [low, high] = [low - size / 2, high + size / 2];
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough)!;
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  return {
    place: (value) => (value / step - first) / (last - first),
    marks: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step),
  };
}

/** Draws lines over two axes. Series need one point or more in all; on a logarithmic axis, values are above 0. */
export function lines(title: string, axes: Axes, series: readonly Series[]): Chart {
  const left = 70, top = 36, width = WIDTH - left - 190, height = 240;
  const [xScale, yScale] = axes.scales ?? ["logarithmic", "logarithmic"];
  const points = series.flatMap((s) => s.points);
  const across = axis(points.map(({ x }) => x), xScale);
  const up = axis(points.map(({ y }) => y), yScale);
  const xOf = (x: number) => left + width * across.place(x);
  const yOf = (y: number) => top + height * (1 - up.place(y));
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    `<path class="grid" d="M${x1.toFixed(1)} ${y1.toFixed(1)}L${x2.toFixed(1)} ${y2.toFixed(1)}"/>`;
  const parts = [
    text(0, 16, title, `class="title"`),
    text(left + width / 2, top + height + 32, axes.x, `text-anchor="middle"`),
    text(left, top - 6, axes.y),
    ...across.marks.flatMap((mark) => [
      line(xOf(mark), top, xOf(mark), top + height),
      text(xOf(mark), top + height + 16, brief(mark), `text-anchor="middle"`),
    ]),
    ...up.marks.flatMap((mark) => [
      line(left, yOf(mark), left + width, yOf(mark)),
      text(left - 6, yOf(mark) + 4, brief(mark), `text-anchor="end"`),
    ]),
    `<rect class="frame" x="${left}" y="${top}" width="${width}" height="${height}"/>`,
  ];
  series.forEach(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const at = points.map(({ x, y, planned }) => ({
      x: xOf(x).toFixed(1),
      y: yOf(y).toFixed(1),
      planned,
    }));
    const path = at.map(({ x, y }) => `${x},${y}`).join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`);
    for (const { x, y, planned } of at) {
      if (planned === undefined) continue;
      const fill = planned ? `class="paper"` : `fill="${colour}"`;
      parts.push(`<circle cx="${x}" cy="${y}" r="4" ${fill} stroke="${colour}"/>`);
    }
    parts.push(
      `<rect x="${left + width + 10}" y="${
        top + 5 + 16 * i
      }" width="10" height="10" fill="${colour}"/>`,
      text(left + width + 26, top + 14 + 16 * i, name),
    );
  });
  return { height: top + height + 50, svg: parts.join("\n") };
}

/** Stacks charts into one SVG image. */
export function image(heading: string, charts: readonly Chart[]): string {
  let y = 40;
  const body = charts.map(({ height, svg }) => {
    const part = `<g transform="translate(20 ${y})">\n${svg}\n</g>`;
    y += height + 20;
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH + 40}" height="${y}">
<style>${STYLE}</style>
<rect class="paper" width="100%" height="100%"/>
${text(20, 24, heading)}
${body.join("\n")}
</svg>
`;
}
