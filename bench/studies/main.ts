/**
 * Examines claims of the paper on a small scale, and writes docs/STUDIES.md:
 *
 *     deno task study            lists the studies
 *     deno task study NAME [--factor N]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "../../deps/@std/path.ts";
import { Device } from "../../engine/mod.ts";
import { writeFileAtomic } from "../../model/checkpoint/files.ts";
import { image, lines } from "../../model/charts/svg.ts";
import { VERSION } from "../../model/config/version.ts";
import { ADAPTERS } from "./adapters.ts";
import { BITS_STUDY } from "./bits.ts";
import { CLASSIFIER } from "./classifier.ts";
import { CORRECTION } from "./correction.ts";
import { LABELS } from "./labels.ts";
import { ORDER } from "./order.ts";
import { SCALING } from "./scaling.ts";
import type { Done, Study } from "./study.ts";
import { studiesText } from "./text.ts";

export const STUDIES: readonly Study[] = [
  CORRECTION,
  BITS_STUDY,
  SCALING,
  CLASSIFIER,
  LABELS,
  ADAPTERS,
  ORDER,
];

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
/** Where findings and charts are. */
const RESULTS = join(ROOT, "bench", "results", "studies");

/** The studies that were run, in their order. */
export async function readStudies(): Promise<Done[]> {
  const read = STUDIES.map(async ({ name }): Promise<Done[]> => {
    const path = join(RESULTS, `${name}.json`);
    return await Deno.readTextFile(path).then((text) => [JSON.parse(text)], () => []);
  });
  return (await Promise.all(read)).flat();
}

async function main(): Promise<number> {
  const { _: [name], factor = "1" } = parseArgs(Deno.args, { string: ["factor", "_"] });
  const study = STUDIES.find((study) => study.name === name);
  if (!study) {
    for (const { name, title } of STUDIES) console.log(`${name.padEnd(12)}${title}`);
    if (name === undefined) return 0;
    console.error(`There is no study ${JSON.stringify(name)}`);
    return 2;
  }
  if (!(Number(factor) > 0)) {
    console.error(`--factor must be a number above 0, not ${factor}`);
    return 2;
  }
  const folder = await Deno.makeTempDir({ prefix: "bitwise-study-" });
  const begin = performance.now();
  try {
    using device = await Device.open();
    const say = (line: string) => console.error(line);
    const effort = { factor: Number(factor), images: Infinity, folder, say };
    const findings = await study.run(device, effort);
    const { run: _, ...about } = study;
    const done: Done = {
      ...about,
      ...findings,
      machine: {
        adapter: device.capabilities.adapter,
        cores: navigator.hardwareConcurrency,
        version: VERSION,
      },
      factor: Number(factor),
      seconds: Math.round((performance.now() - begin) / 1000),
    };
    await Deno.mkdir(RESULTS, { recursive: true });
    const write = (path: string, text: string) =>
      writeFileAtomic(path, new TextEncoder().encode(text));
    await write(join(RESULTS, `${done.name}.json`), `${JSON.stringify(done, null, 2)}\n`);
    const charts = done.charts.map(({ title, x, y, scales, series }) =>
      lines(title, { x, y, scales }, series)
    );
    if (charts.length > 0) {
      await write(join(RESULTS, `${done.name}.svg`), image(done.title, charts));
    }
    await write(join(ROOT, "docs", "STUDIES.md"), studiesText(await readStudies()));
    console.log(studiesText([done]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main());
