/**
 * Runs the tests of the gate two jobs at a time, since most of them keep one core busy. What a job prints comes when it
 * has ended. All jobs run, whichever fails; the failures are printed again at the end, where they are looked for.
 *
 * @module
 */

/** Folders of tests that are a job each; a folder within another is left out of that. The longest come first. */
const FOLDERS = [
  "tests/commands",
  "tests/model/training",
  "tests/model",
  "tests/faults",
  "tests/kernels",
  "tests/serve",
];

/** Jobs, the longest first: what Deno is run with. */
const JOBS: readonly (readonly string[])[] = [
  // what is in none of the folders, so that nothing is left out
  ["task", "test", `--ignore=${FOLDERS.join()}`],
  ["task", "test:gpu"],
  ...FOLDERS.map((folder) => {
    const within = FOLDERS.filter((other) => other.startsWith(`${folder}/`));
    const left = within.length ? [`--ignore=${within.join()}`] : [];
    return ["test", "-A", "--preload", "tests/backend.ts", ...left, folder];
  }),
  ["task", "test:limits"],
  ["task", "test:fuzz", "--seconds", "60"],
];

/** Jobs that run at the same time. */
const AT_A_TIME = 2;

/** Lines of a failed job that are printed again where it did not list its errors. */
const LAST_LINES = 30;

const waiting = [...JOBS];
const failures: string[] = [];

/** Prints at once, so that what two jobs say is not mixed. */
function print(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/** What a failed job said of its failure: the errors that `deno test` lists, without its counts, or its last lines. */
function failureOf(stderr: Uint8Array, stdout: Uint8Array): string {
  const text = [stderr, stdout].map((bytes) => new TextDecoder().decode(bytes)).join("");
  // deno-lint-ignore no-control-regex -- colours
  const lines = text.replaceAll(/\x1b\[[0-9;]*m/g, "").trimEnd().split("\n");
  const [start, end] = [" ERRORS ", " FAILURES "].map((title) => lines.indexOf(title));
  return lines.slice(...(start! < 0 ? [-LAST_LINES] : [start, end])).join("\n");
}

/** Runs one job after the other, until none waits. */
async function work(): Promise<void> {
  for (let job = waiting.shift(); job; job = waiting.shift()) {
    const name = `deno ${job.join(" ")}`;
    console.log(`gate: ${name} runs`);
    const begin = performance.now();
    const command = new Deno.Command(Deno.execPath(), {
      args: [...job],
      stdout: "piped",
      stderr: "piped",
    });
    const { success, stdout, stderr } = await command.output();
    if (!success) failures.push(`gate: deno ${job.join(" ")}\n${failureOf(stderr, stdout)}`);
    print(stderr);
    print(stdout);
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(`gate: ${name} ${success ? "passed" : "FAILED"} after ${seconds} s`);
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, work));
for (const failure of failures) console.error(failure);
Deno.exit(failures.length ? 1 : 0);
