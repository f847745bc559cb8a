import { InputError, isObject } from "../../engine/mod.ts";
import { Charsmap } from "./charsmap.ts";

/** Most nodes of a normaliser, and most characters that one of its rules puts in. */
const MAX_NODES = 32;
const MAX_CONTENT = 16;

/** Most UTF-16 code units of a prompt after each step; NFKC turns one character into 18 at most. */
const MAX_LENGTH = 2 ** 22;

/** Most combining marks in a row: engines sort them in quadratic time. */
const MAX_MARKS = 256;
const MARKS = new RegExp(`(?<!\\p{M})\\p{M}{${MAX_MARKS + 1}}`, "u");

/** One character or white space, alone or in a row: the patterns that need no search. */
const RUN = /^(?:\\([^\w])|(\\s)|([^\\^$.|?*+()[\]{}]))(\+|\{[1-9],\})?$/u;

/** Changes a text before it is split into tokens. */
export type Normalise = (text: string) => string;

/** Any object of a JSON file. */
export type Node = Readonly<Record<string, unknown>>;

/**
 * Builds the `normalizer` of a `tokenizer.json`, of those types that take time in proportion to the text.
 *
 * @throws {Error} It is malformed or not supported; the message is a phrase that follows "its normalizer".
 */
export function makeNormaliser(node: unknown): Normalise {
  const steps: Normalise[] = [];
  collect(node, steps, 0);
  return (text) => steps.reduce((before, step) => bounded(step(before)), text);
}

function bounded(text: string): string {
  if (text.length <= MAX_LENGTH) return text;
  throw new InputError(
    "prompt-too-long",
    `Cannot read a prompt that normalisation makes ${text.length} characters long: ` +
      `the limit is ${MAX_LENGTH}`,
  );
}

/** Adds the steps of a node, in order. */
function collect(node: unknown, steps: Normalise[], depth: number): void {
  if (node === null || node === undefined) return;
  if (!isObject(node)) throw new Error("is not an object");
  if (node.type !== "Sequence") steps.push(stepOf(node));
  else if (!Array.isArray(node.normalizers)) {
    throw new Error('has a Sequence without "normalizers"');
  } else if (depth === MAX_NODES) throw new Error(`is nested more than ${MAX_NODES} times`);
  else for (const one of node.normalizers) collect(one, steps, depth + 1);
  if (steps.length > MAX_NODES) throw new Error(`has more than ${MAX_NODES} steps`);
}

function stepOf(node: Node): Normalise {
  const { type } = node;
  switch (type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => {
        if (MARKS.test(text)) {
          throw new InputError(
            "too-many-marks",
            `Cannot read a prompt with more than ${MAX_MARKS} combining marks in a row`,
          );
        }
        return text.normalize(type);
      };
    case "Lowercase":
      // character by character as in Rust, so a final Σ becomes σ, not ς
      return (text) => text.replaceAll("Σ", "σ").toLowerCase();
    case "Strip":
      if (node.strip_left) throw new Error("has a Strip on the left, which is not supported");
      return node.strip_right ? trimmed : (text) => text;
    case "Replace":
      return replacing(node);
    case "Precompiled":
      return precompiled(node.precompiled_charsmap);
    default:
      throw new Error(`has the type ${JSON.stringify(type)}, which is not supported`);
  }
}

function precompiled(base64: unknown): Normalise {
  if (typeof base64 !== "string") throw new Error('has a "precompiled_charsmap" that is not text');
  try {
    const charsmap = new Charsmap(base64);
    return (text) => charsmap.apply(text);
  } catch (error) {
    const why = error instanceof DOMException ? "it is not base64" : (error as Error).message;
    throw new Error(`has a "precompiled_charsmap" that cannot be read: ${why}`);
  }
}

function replacing({ pattern, content }: Node): Normalise {
  if (typeof content !== "string" || content.length > MAX_CONTENT) {
    throw new Error(
      `has a Replace whose content is not a text of at most ${MAX_CONTENT} characters`,
    );
  }
  const { String: text, Regex: regex } = isObject(pattern) ? pattern : {};
  if (typeof text === "string" && text !== "") {
    return (line) => line.replaceAll(text, () => content);
  }
  const run = typeof regex === "string" && RUN.exec(regex);
  if (!run) {
    throw new Error(
      `has a Replace of ${
        JSON.stringify(pattern)
      }; supported are a text, one character and white ` +
        'space, also in a row: " {2,}"',
    );
  }
  const [, escaped, space, plain, times = ""] = run;
  const char = space
    ? "\\p{White_Space}"
    : `\\u{${(escaped ?? plain!).codePointAt(0)!.toString(16)}}`;
  const expression = new RegExp(char + times, "gu");
  return (line) => line.replace(expression, () => content);
}

/** Without white space at its end; a regular expression would take quadratic time. */
function trimmed(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Whether a character is white space by Unicode, as in Rust; `\s` of JavaScript differs. */
export function isSpace(char: string): boolean {
  return /^\p{White_Space}$/u.test(char);
}
