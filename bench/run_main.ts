import { UsageError } from "../commands/flags/flags.ts";
import { BitwiseError } from "../engine/mod.ts";

/** Runs a program and sets its exit code. An error of bitwise becomes one line; others are thrown on. */
export async function runMain(main: () => Promise<number>): Promise<void> {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof BitwiseError)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
