import { BitwiseError } from "../../engine/mod.ts";
import type { Random } from "./random.ts";

/** Something that reads what strangers wrote, and a generator of hostile input for it. */
export interface Reader<Input = unknown> {
  /** Makes the input of a case from choices alone. */
  make(random: Random): Input;
  /** Reads it, and checks what comes out with {@link claim}. A refusal is a `BitwiseError`; all else is a finding. */
  read(input: Input): unknown;
  /** The input as a file, for a report; JSON if absent. */
  file?(input: Input): Uint8Array | string;
  /** The most milliseconds of CPU that a case may take; 1000 if absent. */
  readonly deadline?: number;
  /** The most bytes that a case may leave allocated; 2^27 if absent. */
  readonly memory?: number;
  /** Whether inputs must stay as they were made, so that findings are not made smaller. */
  readonly whole?: boolean;
  /** Whether it may use files, which are then limited to the working folder. */
  readonly usesFiles?: boolean;
}

/** Hides the type of a reader's inputs, so that readers fit into one table. */
export function reader<Input>(of: Reader<Input>): Reader {
  return of as unknown as Reader;
}

/** What a reader returned breaks a rule. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Checks a rule of what a reader returned. */
export function claim(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Violation(rule);
}

/** The most characters of a message. */
const MOST = 1200;
// deno-lint-ignore no-control-regex -- terminals obey them
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/u;

/** Says what is wrong with a text that people see; null if nothing is. */
export function textFault(message: string): string | null {
  if (CONTROL.test(message)) return `control characters in ${JSON.stringify(message)}`;
  return message.length > MOST ? `a message of ${message.length} characters` : null;
}

/** Says why an error is not a proper refusal; null if it is one. */
export function errorFault(error: unknown): string | null {
  if (!(error instanceof BitwiseError)) {
    const [kind, message] = error instanceof Error
      ? [error.name, error.message]
      : ["thrown", error];
    return `${kind}: ${message}`;
  }
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(error.code)) return `the code ${JSON.stringify(error.code)}`;
  return textFault(error.message);
}
