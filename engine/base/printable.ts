/**
 * Text from elsewhere, such as files, replies and the environment, made harmless for terminals and logs.
 *
 * @module
 */

/**
 * What moves the cursor, or hides or reorders text: control characters (C0, DEL, C1), line and paragraph separators,
 * bidirectional embeddings, overrides and isolates, and halves of surrogate pairs.
 */
// deno-lint-ignore no-control-regex -- that is the point
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

/** The most characters of a message. */
const MOST = 1000;
/** How many of them are its end, which says what to do. */
const END = 300;

/** Replaces what a terminal would obey, line breaks and tabs as well. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "�");
}

/** The same for text of several lines, whose breaks and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(
    UNPRINTABLE,
    (c) => c === "\n" || c === "\t" ? c : "�",
  );
}

/** The same for a message: joins its lines, and leaves out the middle of more than 1,000 characters. */
export function printableMessage(text: string): string {
  const line = text.split(/[\r\n\u2028\u2029]+/).map((part) => part.trim()).join(" ").trim();
  if (line.length <= MOST) return printable(line);
  return printable(`${line.slice(0, MOST - END - 1).trimEnd()}…${line.slice(-END)}`);
}

/** The same for JSON, which stays what it means: escapes them. */
export function printableJson(json: string): string {
  return json.replace(
    UNPRINTABLE,
    (c) => c === "\n" ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
