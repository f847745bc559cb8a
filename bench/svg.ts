const FONT = `font-family="system-ui, sans-serif" font-size="12"`;
const WIDTH = 800;
const COLOURS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2"];

/** A part of an image: SVG elements in a box of WIDTH × `height`. */
export interface Chart {
  readonly height: number;
  readonly svg: string;
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!);
}

function text(x: number, y: number, content: string, more: string = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${FONT} ${more}>${escape(content)}</text>`;
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
    svg: text(0, 16, title, `font-weight="bold"`) + body.join("\n"),
  };
}

/** Points of a line. Planned points are hollow. */
export interface Series {
  readonly name: string;
  readonly points: readonly { x: number; y: number; planned: boolean }[];
}

/** Formats a number with two digits and a letter for thousands. */
function brief(value: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(value) / 3 + 1e-9)));
  return `${Number((value / 1000 ** power).toPrecision(2))}${["", "k", "M", "G", "T"][power]}`;
}

/** Draws lines over two logarithmic axes. */
export function lines(
  title: string,
  xName: string,
  yName: string,
  series: readonly Series[],
): Chart {
  const left = 70, top = 36, width = WIDTH - left - 190, height = 240;
  const points = series.flatMap((s) => s.points);
  const range = (values: number[]) => {
    const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
    return low === high ? [low - 0.5, high + 0.5] as const : [low, high] as const;
  };
  const [x0, x1] = range(points.map((p) => p.x));
  const [y0, y1] = range(points.map((p) => p.y));
  const at = (x: number, y: number) =>
    [
      left + width * (Math.log10(x) - x0) / (x1 - x0),
      top + height * (1 - (Math.log10(y) - y0) / (y1 - y0)),
    ] as const;
  const parts = [
    text(0, 16, title, `font-weight="bold"`),
    `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#999"/>`,
    text(left + width / 2, top + height + 32, xName, `text-anchor="middle"`),
    text(left, top - 6, yName),
  ];
  for (const share of [0, 1 / 3, 2 / 3, 1]) {
    const label = (low: number, high: number) => brief(10 ** (low + share * (high - low)));
    const [x, y] = [left + share * width, top + (1 - share) * height];
    parts.push(text(x, top + height + 16, label(x0, x1), `text-anchor="middle"`));
    parts.push(text(left - 6, y + 4, label(y0, y1), `text-anchor="end"`));
  }
  series.forEach(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const path = points.map(({ x, y }) => at(x, y).map((v) => v.toFixed(1)).join(",")).join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}"/>`);
    for (const { x, y, planned } of points) {
      const [cx, cy] = at(x, y);
      const fill = planned ? "white" : colour;
      parts.push(
        `<circle cx="${cx.toFixed(1)}" cy="${
          cy.toFixed(1)
        }" r="4" fill="${fill}" stroke="${colour}"/>`,
      );
    }
    parts.push(text(left + width + 10, top + 14 + 16 * i, name, `fill="${colour}"`));
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
<rect width="100%" height="100%" fill="white"/>
${text(20, 24, heading)}
${body.join("\n")}
</svg>
`;
}
