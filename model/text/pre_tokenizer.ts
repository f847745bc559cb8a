import { isObject } from "../../engine/mod.ts";
import type { Node } from "./normaliser.ts";

/** A part of a text whose tokens do not depend on the other parts. */
export interface Part {
  readonly text: string;
  /** Whether the prompt begins with it. */
  readonly first: boolean;
}

/** Splits a part further, and marks where words begin. */
export type PreTokenise = (part: Part) => Part[];

/** Most levels of a Sequence. */
const MAX_DEPTH = 32;

/**
 * Builds the `pre_tokenizer` of a `tokenizer.json`: a Metaspace, which T5 has, alone or after a WhitespaceSplit.
 *
 * @throws {Error} It is malformed or not supported; the message is a phrase that follows "its pre_tokenizer".
 */
export function makePreTokeniser(node: unknown, depth = 0): PreTokenise {
  if (!isObject(node)) throw new Error("is missing");
  switch (node.type) {
    case "WhitespaceSplit":
      return ({ text, first }) =>
        text.split(/\p{White_Space}+/u).flatMap((word, i) =>
          word ? [{ text: word, first: first && i === 0 }] : []
        );
    case "Metaspace":
      return metaspace(node);
    case "Sequence": {
      const { pretokenizers } = node;
      if (
        !Array.isArray(pretokenizers) || depth === MAX_DEPTH || pretokenizers.length > MAX_DEPTH
      ) {
        throw new Error('has a Sequence whose "pretokenizers" are not a short list');
      }
      const steps = pretokenizers.map((one) => makePreTokeniser(one, depth + 1));
      return (part) => steps.reduce((parts, step) => parts.flatMap(step), [part]);
    }
    default:
      throw new Error(`has the type ${JSON.stringify(node.type)}, which is not supported`);
  }
}

/** Turns spaces into `▁`, adds one in front, and splits before each. */
function metaspace(node: Node): PreTokenise {
  const { replacement: mark, split = true, add_prefix_space: prefix } = node;
  const scheme = node.prepend_scheme ?? (prefix === false ? "never" : "always");
  if (typeof mark !== "string" || [...mark].length !== 1 || !mark.isWellFormed()) {
    throw new Error("has a Metaspace whose replacement is not one character");
  }
  if (scheme !== "always" && scheme !== "first" && scheme !== "never") {
    throw new Error(`has a Metaspace with the prepend_scheme ${JSON.stringify(scheme)}`);
  }
  if (prefix === false && scheme !== "never") {
    throw new Error("has a Metaspace whose add_prefix_space contradicts its prepend_scheme");
  }
  return ({ text, first }) => {
    const spaced = text.replaceAll(" ", mark);
    const adds = scheme === "always" || (scheme === "first" && first);
    const marked = adds && !spaced.startsWith(mark) ? mark + spaced : spaced;
    if (split === false) return [{ text: marked, first }];
    return marked.split(mark).flatMap((word, i) => {
      const whole = i ? mark + word : word;
      return whole ? [{ text: whole, first: first && i === 0 }] : [];
    });
  };
}
