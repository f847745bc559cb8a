import { InputError, quote } from "../../engine/mod.ts";

/** The most characters of a name. */
export const MAX_NAME = 200;

/** What a name is made of. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

/** Whether a name may be that of a stored file: letters, digits, `-`, `_` and `.`, which does not come first. */
export function isName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

/** Refuses other names, such as those that lead out of a folder. @throws {InputError} `bad-name` */
export function checkName(name: string): void {
  if (isName(name)) return;
  throw new InputError(
    "bad-name",
    `Cannot use ${quote(name)} as the name of a file: it must have 1 to ${MAX_NAME} letters, ` +
      "digits, -, _ or dots, and not begin with a dot",
  );
}
