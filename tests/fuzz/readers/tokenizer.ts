// A tokenizer.json, right or wrong, and prompts that its normalisers and vocabulary may not expect.
import { BitwiseError } from "../../../engine/mod.ts";
import { Tokenizer } from "../../../model/text/tokenizer.ts";
import {
  added,
  charsmap,
  type Json,
  LAYOUTS,
  metaspace,
  normalizers,
  PRECOMPILED,
  pretokenizers,
  PROMPTS,
  SPLIT,
  tokenizerJson,
  VOCAB,
} from "../../model/text/t5_layouts.ts";
import { json, mutateBytes, mutateTree, number, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";

const PATTERNS = [
  ...[
    " {2,}",
    "a",
    "\\s+",
    "\\.",
    "(a+)+$",
    "(a|a)*b",
    "(?<=a)b",
    "[^\\s\\S]",
    "(",
    "\\p{L}+",
    ".*",
  ],
  ...["(x+x+)+y", "", "$", "(?i)x", "[[:alpha:]]", "(.*)*", "a{1000}{1000}", "^(\\w+\\s?)*$"],
];

/** A rule that changes texts. */
function normaliser(random: Random): Json {
  const pattern = random.chance(0.5)
    ? { Regex: random.chance(0.9) ? random.pick(PATTERNS) : text(random) }
    : { String: random.chance(0.5) ? random.pick(["a", " ", "▁", ""]) : text(random) };
  return random.pick<() => Json>([
    () => ({ type: random.pick(["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]) }),
    () => ({ type: "Replace", pattern, content: random.pick(["", "a", "aaaaaaaaaaaaaaaa", "▁"]) }),
    () => ({ type: "Strip", strip_left: random.chance(0.1), strip_right: random.chance(0.5) }),
    () => PRECOMPILED,
    () => ({ type: "Precompiled", precompiled_charsmap: brokenMap(random) }),
    () => ({ type: random.chance(0.5) ? text(random) : random.pick(["StripAccents", "Nmt"]) }),
  ])();
}

/** A map of characters whose trie or texts are damaged. */
function brokenMap(random: Random): string {
  const texts = random.list(
    1,
    5,
    () => [text(random).slice(0, 9) || "x", text(random).slice(0, 9)],
  );
  const map = charsmap(Object.fromEntries(texts.filter(([from]) => !from!.includes("\0"))));
  return random.chance(0.4) ? map : mutateBytes(random, Uint8Array.fromBase64(map)).toBase64();
}

const MARKS = [
  ...Array<Json>(3).fill(metaspace()),
  metaspace({ prepend_scheme: "first" }),
  metaspace({ prepend_scheme: "never", add_prefix_space: false, split: false }),
];

/** A file that is right, but for what some rule of its may be. */
function file(random: Random): Json {
  if (random.chance(0.3)) return random.pick(Object.values(LAYOUTS));
  const rules = random.list(0, 4, () => normaliser(random));
  const marks = random.pick(MARKS);
  const extra = random.list(0, 4, (i) =>
    added(VOCAB.length + i, text(random) || "x", {
      normalized: random.chance(0.3),
      single_word: random.chance(0.2),
      lstrip: random.chance(0.2),
      rstrip: random.chance(0.2),
    }));
  const special = VOCAB.slice(0, 3).map(([token], id) => added(id, token));
  const made = tokenizerJson(
    random.chance(0.1) ? null : normalizers(...rules),
    random.chance(0.5) ? marks : pretokenizers(...random.chance(0.5) ? [SPLIT] : [], marks),
    [...special, ...extra],
  );
  if (random.chance(0.7)) return made;
  const vocab = VOCAB.map(([piece, score], i) => {
    if (i < 3 || random.chance(0.95)) return [piece, score];
    return random.chance(0.5) ? [text(random), score] : [piece, finite(random)];
  });
  return { ...made, model: { ...made.model as Json, vocab } };
}

function finite(random: Random): number {
  const value = number(random);
  return Number.isFinite(value) ? value : -1e308;
}

/** A prompt, which may be long and of one character. */
function prompt(random: Random): string {
  if (random.chance(0.15)) {
    const part = random.pick([
      "a",
      "x",
      "z",
      "p",
      "é",
      "🐱",
      " ",
      "aa ",
      "\u0301",
      "ﬁ",
      "\ufdfa",
      "▁",
    ]);
    return part.repeat(1 + random.below(random.chance(0.1) ? 300_000 : 3000, true));
  }
  const words = random.list(0, 8, () => random.chance(0.5) ? random.pick(PROMPTS) : text(random));
  return words.join(random.pick([" ", "", "  "]));
}

export const tokenizer = reader({
  deadline: 2000,
  make(random) {
    const tree = random.chance(0.6)
      ? file(random)
      : mutateTree(random, file(random), () =>
        random.chance(0.3) ? normaliser(random) : json(random));
    const maxLength = random.chance(0.95) ? 1 + random.below(99) : number(random);
    return { tree, maxLength, prompts: random.list(1, 3, () => prompt(random)) };
  },
  read({ tree, maxLength, prompts }) {
    const loaded = Tokenizer.load(JSON.parse(JSON.stringify(tree) ?? "null"), { maxLength });
    let refusal: unknown;
    for (const prompt of prompts) {
      try {
        const { ids, truncated, unknown } = loaded.encode(prompt);
        claim(ids.length >= 1 && ids.length <= maxLength, `${ids.length} tokens`);
        claim(
          ids.every((id) => Number.isSafeInteger(id) && id >= 0),
          `ids, not ${ids.slice(0, 9)}`,
        );
        claim(ids.at(-1) === 1 || !truncated, "the last token of what was cut");
        claim(unknown.every((word) => typeof word === "string"), "words that are unknown");
        claim(loaded.encode(prompt).ids.join() === ids.join(), "the same tokens again");
      } catch (error) {
        if (!(error instanceof BitwiseError)) throw error;
        refusal = error;
      }
    }
    if (refusal !== undefined) throw refusal;
  },
});
