// Runs cases one after another in a process that may be killed: main.ts starts one, and reads what it prints.
import process from "node:process";
import { caseSeed, Random } from "./random.ts";
import { errorFault, type Reader } from "./reader.ts";
import { shrink } from "./shrink.ts";
import { guardPlaces, watchPrototypes } from "./guards.ts";

/** What to run. */
export interface Work {
  readonly seed: number;
  /** Folders that no rule forbids to read, such as that of npm packages. */
  readonly mayRead: readonly string[];
  readonly tasks: readonly Task[];
}

/** Cases of one reader. */
export interface Task {
  readonly reader: string;
  /** The first case. */
  readonly from: number;
  /** Stops after as many cases, or as much time. */
  readonly count: number;
  readonly seconds: number;
}

/** What the process prints, each as one line of JSON. */
export type Said =
  | { readonly at: number; readonly reader: string }
  | { readonly found: Finding }
  | { readonly again: true }
  | { readonly shrinking: true }
  | { readonly done: string; readonly cases: number; readonly refused: number };

/** A case that broke a rule. */
export interface Finding {
  readonly reader: string;
  /** Number of the case. */
  readonly at: number;
  /** What is wrong, in one line. */
  readonly what: string;
  /** The input in base64, smaller than the one that was generated, if possible. */
  readonly input: string;
}

const SHRINK_MS = 3000;
const encoder = new TextEncoder();
const say = (said: Said) => {
  const bytes = encoder.encode(`${JSON.stringify(said)}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
};

/** Runs the cases that the arguments of this process ask for, and ends it. */
export async function runCases(readers: Readonly<Record<string, Reader>>): Promise<never> {
  const work = JSON.parse(Deno.args[0]!) as Work;
  const judge = new Judge(work.mayRead);
  try {
    for (const task of work.tasks) await run(readers[task.reader]!, task, work.seed, judge);
    Deno.exit(0);
  } catch (error) {
    console.error("The fuzzer has an error:", error);
    Deno.exit(70);
  }
}

async function run(reader: Reader, task: Task, seed: number, judge: Judge): Promise<void> {
  const { reader: name, from, count, seconds } = task;
  const end = performance.now() + seconds * 1000;
  const seen = new Set<string>();
  let [cases, refused] = [0, 0];
  for (; cases < count && performance.now() < end; cases++) {
    const at = from + cases;
    say({ at, reader: name });
    const input = reader.make(new Random(caseSeed(seed, name, at)));
    const { fault, refusal } = await judge.judge(
      reader,
      input,
      (trouble) => seen.has(kindOf(trouble)),
    );
    if (refusal) refused++;
    if (fault === null || seen.has(kindOf(fault))) continue;
    seen.add(kindOf(fault));
    say({ found: { reader: name, at, what: fault, input: base64(reader, input) } });
    if (reader.whole || /^(slow|memory)/.test(fault)) continue; // each try would take as long
    const least = await shrink(input, async (less) => {
      say({ shrinking: true });
      const { fault: other } = await judge.judge(reader, less);
      return other !== null && kindOf(other) === kindOf(fault);
    }, SHRINK_MS);
    say({ found: { reader: name, at, what: fault, input: base64(reader, least) } });
  }
  say({ done: name, cases, refused });
}

interface Verdict {
  /** What is wrong; null if nothing is. */
  readonly fault: string | null;
  /** Whether the input was refused. */
  readonly refusal: boolean;
}

/** Runs single cases. */
class Judge {
  readonly #places;
  readonly #prototypes = watchPrototypes();
  #unhandled: unknown;

  constructor(mayRead: readonly string[]) {
    this.#places = guardPlaces(mayRead);
    globalThis.addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      this.#unhandled = event.reason ?? "undefined";
    });
  }

  /** Runs a case; what was slow or large is run again if `sure`, since others use the machine, too. */
  async judge(
    reader: Reader,
    input: unknown,
    sure: (trouble: string) => boolean = () => false,
  ): Promise<Verdict> {
    const { deadline = 1000, memory = 2 ** 27 } = reader;
    for (let tries = 1;; tries++) {
      const { fault, refusal, milliseconds, bytes } = await this.#measure(reader, input);
      const trouble = milliseconds > deadline
        ? `slow: ${milliseconds.toFixed(0)} ms`
        : bytes > memory
        ? `memory: ${(bytes / 1e6).toFixed(0)} MB`
        : null;
      if (fault !== null || trouble === null || tries > 2 || sure(trouble)) {
        return { fault: fault ?? trouble, refusal };
      }
      say({ again: true });
      await collect();
    }
  }

  async #measure(reader: Reader, input: unknown) {
    const [memory, cpu, start] = [Deno.memoryUsage(), process.cpuUsage(), performance.now()];
    let [fault, refusal]: [string | null, boolean] = [null, false];
    this.#unhandled = undefined;
    this.#places.arm(reader.usesFiles === true);
    try {
      await reader.read(input);
    } catch (error) {
      fault = errorFault(error);
      if (fault === null) refusal = true;
      else fault += whereOf(error);
    }
    const left = this.#unhandled;
    if (left !== undefined) fault ??= `unhandled: ${errorFault(left) ?? left}`;
    fault = this.#places.disarm() ?? this.#prototypes() ?? fault;
    const spent = process.cpuUsage(cpu);
    // no longer than it took, also if other threads worked
    const milliseconds = Math.min(performance.now() - start, (spent.user + spent.system) / 1000);
    return { fault, refusal, milliseconds, bytes: grown(memory) };
  }
}

/** Lets go of garbage, which would be collected, and subtracted, in the middle of a case. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await new Promise((done) => setTimeout(done));
    (globalThis as { gc?: () => void }).gc?.();
  }
}

/** Bytes that were added since: of pages, or of objects and buffers, whose pages may not have been touched. */
function grown(since: Deno.MemoryUsage): number {
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return Math.max(rss - since.rss, heapUsed + external - since.heapUsed - since.external);
}

/** The place in our code where an error began. */
function whereOf(error: unknown): string {
  const stack = error instanceof Error ? error.stack ?? "" : "";
  const root = new URL("../..", import.meta.url).href;
  const line = stack.split("\n").find((line) =>
    line.includes(root) && !line.includes("/tests/fuzz/reader.ts")
  );
  return line ? ` (${line.slice(line.indexOf(root) + root.length).replace(/\)$/, "")})` : "";
}

/** What findings of one kind have in common. */
function kindOf(fault: string): string {
  return fault.replaceAll(/"(\\.|[^"\\])*"?|\d+/g, "#").slice(0, 120) +
    /\([^()]*\)$/.exec(fault)?.[0];
}

function base64(reader: Reader, input: unknown): string {
  const file = reader.file?.(input) ?? input;
  const bytes = file instanceof Uint8Array ? file : encoder.encode(inspect(file));
  return bytes.subarray(0, 2 ** 20).toBase64();
}

function inspect(input: unknown): string {
  if (typeof input === "string") return input;
  try {
    return JSON.stringify(input) ?? String(input);
  } catch {
    return Deno.inspect(input, { depth: 6 });
  }
}
