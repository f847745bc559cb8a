/**
 * Feeds hostile input to everything that reads what strangers wrote. Readers run in a process of their own, with hardly
 * any permissions, which is killed and replaced where it hangs or dies.
 *
 * ```sh
 * deno task test:fuzz                                  # every reader for a minute together
 * deno task test:fuzz --reader png --seconds 600 --seed 7
 * deno task test:fuzz --reader png --seed 7 --case 12  # one case again
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import type { Finding, Said, Task, Work } from "./child.ts";

/** What to feed to whom. */
export interface FuzzOptions {
  /** The module that exports READERS. */
  readonly module: URL;
  readonly readers: readonly string[];
  readonly seed: number;
  /** Time for all readers together. */
  readonly seconds: number;
  /** Cases of each reader; without a limit if absent. */
  readonly count?: number;
  /** The first case of each reader; 0 if absent. */
  readonly from?: number;
  /** Milliseconds after which a case hangs. */
  readonly patience?: number;
}

/** What came of it. */
export interface Summary {
  /** Cases and refusals by reader. */
  readonly counts: ReadonlyMap<string, { cases: number; refused: number }>;
  /** One of each kind. */
  readonly findings: Finding[];
}

/** Hangs and crashes of a reader after which it is not tried further. */
const MOST_DEATHS = 3;
/** Bytes of JavaScript objects that the process may hold. */
const HEAP_MB = 800;
const HERE = fromFileUrl(new URL("../..", import.meta.url));

/** Runs cases of every reader. */
export async function fuzz(options: FuzzOptions): Promise<Summary> {
  const { readers, seed, seconds, count = Number.MAX_SAFE_INTEGER, from = 0 } = options;
  const counts = new Map(readers.map((name) => [name, { cases: 0, refused: 0 }]));
  const findings = new Map<string, Finding>();
  const note = (finding: Finding) =>
    findings.set(`${finding.reader} ${finding.what}`.replaceAll(/\d+/g, "#"), finding);
  const folder = await Deno.makeTempDir({ prefix: "fuzz-" });
  const packages = await npmFolder();
  let tasks: Task[] = readers.map((reader) => ({
    reader,
    from,
    count,
    seconds: seconds / readers.length,
  }));
  let deaths = 0;
  while (tasks.length) {
    const begun = performance.now();
    const work = { seed, mayRead: [packages], tasks };
    const end = await runChild(options, work, folder, (said) => {
      if ("found" in said) note(said.found);
      if (!("done" in said)) return;
      const sum = counts.get(said.done)!;
      sum.cases += said.cases;
      sum.refused += said.refused;
      tasks = tasks.slice(1);
      deaths = 0;
    });
    const [task] = tasks;
    if (!task) break;
    if (!end.last) throw new Error(`The readers did not start: ${end.why}`);
    const { at, shrinking } = end.last;
    if (!shrinking) note({ reader: task.reader, at, what: end.why, input: "" });
    const done = at + 1 - task.from;
    counts.get(task.reader)!.cases += done;
    const left = task.seconds - (performance.now() - begun) / 1000;
    const rest = { ...task, from: at + 1, count: task.count - done, seconds: left };
    const goesOn = rest.count > 0 && left > 0 && ++deaths < MOST_DEATHS;
    tasks = goesOn ? [rest, ...tasks.slice(1)] : tasks.slice(1);
    if (!goesOn) deaths = 0;
  }
  await Deno.remove(folder, { recursive: true });
  return { counts, findings: [...findings.values()] };
}

interface End {
  /** The case that was running. */
  readonly last?: { readonly at: number; readonly shrinking: boolean };
  readonly why: string;
}

/** Starts a process, and kills it when it falls silent. */
async function runChild(
  { module, patience = 30_000 }: FuzzOptions,
  work: Work,
  folder: string,
  hear: (said: Said) => void,
): Promise<End> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      ...[
        "--quiet",
        "--no-prompt",
        "--no-lock",
        "--cached-only",
        `--config=${join(HERE, "deno.json")}`,
      ],
      `--allow-read=${[folder, ...work.mayRead].join()}`,
      `--allow-write=${folder}`,
      // which do not exist: readers of a server's answers check whether they may ask
      "--allow-net=hub.invalid,cdn.invalid",
      `--v8-flags=--expose-gc,--max-old-space-size=${HEAP_MB}`,
      fromFileUrl(module),
      JSON.stringify(work),
    ],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let hung = false;
  const kill = () => {
    hung = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill, 4 * patience); // the first line comes after all modules are loaded
  let last: End["last"];
  const stderr = new Response(child.stderr).text();
  for await (const line of linesOf(child.stdout)) {
    const said = parse(line);
    if (!said) continue;
    clearTimeout(timer);
    timer = setTimeout(kill, patience);
    if ("at" in said) last = { at: said.at, shrinking: false };
    else if ("shrinking" in said || "found" in said) last &&= { ...last, shrinking: true };
    hear(said);
  }
  clearTimeout(timer);
  const { code, signal } = await child.status;
  const lines = (await stderr).trim().split("\n");
  const words = lines.find((line) => /error|fatal/i.test(line)) ?? lines[0] ?? "";
  // deno-lint-ignore no-control-regex -- colours
  const said = words.replaceAll(/\x1b\[[0-9;]*m|[\x00-\x1f]/g, "").slice(0, 200);
  return {
    last,
    why: hung ? `hang: more than ${patience / 1000} s` : `crash: ${signal ?? code} ${said}`,
  };
}

/** Understands a line; null for what a reader prints itself. */
function parse(line: string): Said | null {
  try {
    return line.startsWith("{") ? JSON.parse(line) : null;
  } catch {
    return null;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** The folder of npm packages, whose WebAssembly is loaded when it is needed. */
async function npmFolder(): Promise<string> {
  const info = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] });
  return JSON.parse(new TextDecoder().decode((await info.output()).stdout)).npmCache;
}

/** Saves an input where it can be looked at; null if there is none. */
async function save({ reader, at, input }: Finding, folder: string): Promise<string | null> {
  if (!input) return null;
  const path = join(folder, `${reader}-${at}`);
  await Deno.writeFile(path, Uint8Array.fromBase64(input));
  return path;
}

if (import.meta.main) {
  const given = parseArgs(Deno.args, {
    string: ["reader", "seed", "seconds", "count", "case"],
    default: { seed: "1", seconds: "60" },
  });
  const module = new URL("readers.ts", import.meta.url);
  const { READERS } = await import(module.href) as { READERS: Record<string, unknown> };
  const readers = given.reader?.split(",") ?? Object.keys(READERS);
  const unknown = readers.find((name) => !Object.hasOwn(READERS, name));
  if (unknown !== undefined) {
    console.error(`There is no reader ${unknown}: there are ${Object.keys(READERS).join(", ")}`);
    Deno.exit(2);
  }
  const { counts, findings } = await fuzz({
    module,
    readers,
    seed: Number(given.seed),
    seconds: given.count || given.case ? 86_400 : Number(given.seconds),
    count: given.case ? 1 : given.count ? Number(given.count) : undefined,
    from: Number(given.case ?? 0),
  });
  for (const [name, { cases, refused }] of counts) {
    console.log(
      `${name.padEnd(16)}${`${cases}`.padStart(9)} cases${`${refused}`.padStart(9)} refused`,
    );
  }
  const total = [...counts.values()].reduce((sum, { cases }) => sum + cases, 0);
  const folder = findings.length ? await Deno.makeTempDir({ prefix: "fuzz-found-" }) : "";
  for (const finding of findings) {
    const { reader, at, what } = finding;
    const path = await save(finding, folder);
    const again = `deno task test:fuzz --reader ${reader} --seed ${given.seed} --case ${at}`;
    console.log(`${reader}: ${what}; ${again}${path ? `; ${path}` : ""}`);
  }
  console.log(`${total} cases, ${findings.length} findings`);
  Deno.exit(findings.length ? 1 : 0);
}
