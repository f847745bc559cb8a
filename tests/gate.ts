/**
 * Runs the tests of the gate two jobs at a time, since most of them keep one core busy. What a job prints comes when it
 * has ended. All jobs run, whichever fails.
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

const waiting = [...JOBS];
let passed = true;

/** Prints at once, so that what two jobs say is not mixed. */
function print(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
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
    passed &&= success;
    print(stderr);
    print(stdout);
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(`gate: ${name} ${success ? "passed" : "FAILED"} after ${seconds} s`);
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, work));
Deno.exit(passed ? 0 : 1);
