import { quote } from "../../../engine/mod.ts";
import type { Tokens } from "../../text/tokenizer.ts";

/** What other programs give a meaning: weights, alternatives, add-ons, and breaks. */
const SYNTAX =
  /\([^()]{1,200}:\s{0,4}[+-]?[\d.]{1,8}\s{0,4}\)|\(\([^()]{1,200}\)\)|\[[^[\]]{1,200}\]|<\w{1,20}:[^<>]{1,200}>|\bBREAK\b/gu;

/** How much of a list is shown: words, and characters of each. */
const MOST = 5;
const LONGEST = 40;

/** What a user should know of tokenised prompts: one line each for what was cut, unknown, and without a meaning. */
export function promptWarnings(prompts: readonly string[], tokens: readonly Tokens[]): string[] {
  const cut = tokens.find(({ truncated }) => truncated);
  const unknown = listed(tokens.flatMap((prompt) => prompt.unknown));
  const parts = prompts.flatMap(syntaxOf);
  const isLora = (part: string) => part.startsWith("<lora:");
  const loras = listed(parts.filter(isLora));
  const syntax = listed(parts.filter((part) => !isLora(part)));
  return [
    ...cut ? [`Prompt cut to its first ${cut.ids.length} tokens`] : [],
    ...unknown ? [`The model does not know some characters of ${unknown}: they are lost`] : [],
    ...loras ? [`Prompts load no LoRA, the model does; read as plain text: ${loras}`] : [],
    ...syntax ? [`Prompts have no weights and no syntax; read as plain text: ${syntax}`] : [],
  ];
}

/** Parts of a prompt that mean something to other programs; ratios such as (3:2) do not, nor does an upper-case text. */
function syntaxOf(prompt: string): string[] {
  const isLoud = prompt === prompt.toUpperCase();
  return Array.from(prompt.matchAll(SYNTAX), ([part]) => part)
    .filter((part) => part === "BREAK" ? !isLoud : /\p{L}/u.test(part));
}

/** The first of some texts, quoted, each once; empty if there are none. */
function listed(texts: readonly string[]): string {
  const all = [...new Set(texts)];
  const shown = all.slice(0, MOST).map((text) => {
    const start = [...text.slice(0, 2 * LONGEST)].slice(0, LONGEST).join("");
    return quote(start === text ? text : `${start}…`);
  });
  const rest = all.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}` : shown.join();
}
