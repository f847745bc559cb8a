/**
 * Runs the tests of the gate side by side, since most of them keep one core busy: `deno task test`, and beside it the
 * others, one after the other. What the others print follows at the end.
 *
 * @module
 */

/** Tasks that run one after the other, until one fails. */
const SIDES = [
  ["test"],
  ["test:gpu", "test:limits", "test:fuzz --seconds 60"],
] as const;

/** Runs tasks until one fails; returns whether all passed. Passes on what they print as it comes, or all at the end. */
async function run(tasks: readonly string[], live: boolean): Promise<boolean> {
  const stream = live ? "inherit" : "piped";
  for (const task of tasks) {
    const args = ["task", ...task.split(" ")];
    const process = new Deno.Command(Deno.execPath(), { args, stdout: stream, stderr: stream });
    if (live) {
      if (!(await process.spawn().status).success) return false;
      continue;
    }
    const { success, stdout, stderr } = await process.output();
    printed.push(stderr, stdout);
    if (!success) return false;
  }
  return true;
}

const printed: Uint8Array<ArrayBuffer>[] = [];
const passed = await Promise.all(SIDES.map((tasks, i) => run(tasks, i === 0)));
for (const bytes of printed) {
  await new Blob([bytes]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
}
Deno.exit(passed.every(Boolean) ? 0 : 1);
