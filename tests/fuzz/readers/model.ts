// The text files of a model folder, and what they make of prompts.
import { BitwiseError } from "../../../engine/mod.ts";
import { CHOICES } from "../../../kernels/shared/variants.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { PRESETS } from "../../../model/config/presets.ts";
import { parseTuning } from "../../../model/parts/tuning.ts";
import { Tokenizer } from "../../../model/text/tokenizer.ts";
import nano from "../../../assets/models/emoji-nano/config.json" with { type: "json" };
import { json, mutateText, mutateTree, number, text, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";

const CONFIGS: readonly unknown[] = [nano, ...[...PRESETS.values()].map(({ config }) => config)];
const WORDS = [
  "0.06M",
  "1M",
  "gated-gelu",
  "silu",
  "2d",
  "no",
  "tanh",
  "../x",
  "a/../../b",
  "C:\\x",
];

/** Every number of a tree, wherever it is. */
function* numbersOf(tree: unknown): Generator<number> {
  if (typeof tree === "number") yield tree;
  else if (typeof tree === "object" && tree !== null) {
    for (const inner of Object.values(tree)) yield* numbersOf(inner);
  }
}

export const config = reader({
  make: (random) =>
    mutateTree(
      random,
      random.pick(CONFIGS),
      (random) =>
        random.chance(0.4) ? random.chance(0.5) ? random.pick(WORDS) : finite(random) : undefined,
    ),
  read(tree) {
    const found = parseConfig(JSON.parse(JSON.stringify(tree) ?? "null"), "config.json");
    for (const value of numbersOf(found)) claim(Number.isFinite(value), `a number, not ${value}`);
    for (const path of Object.values(found.files)) {
      claim(!/(^|[/\\])\.\.([/\\]|$)|^[/\\]|:|\0/.test(path), `a path inside, not ${path}`);
    }
    const { embed_dim, num_heads } = found.transformer;
    claim(embed_dim % num_heads === 0, "heads divide the channels");
  },
});

function finite(random: Random): number {
  const value = number(random);
  return Number.isFinite(value) ? value : 2 ** 40;
}

const VOCABULARY = [
  ...[
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁red",
    "▁apple",
    "r",
    "e",
    "d",
    "ap",
    "ple",
    "p",
    "pp",
    "ppp",
  ],
  ...["猫", "🐱", "é", "<0x00>", "<0xE7>", "<0x8C>", "<0xAB>", "▁▁", "x", "xx", "xxx", "a"],
];

/** A tokenizer.json like those of T5. */
function tokenizerJson(random: Random): Record<string, unknown> {
  const special = (content: string, id: number) => ({
    id,
    content,
    single_word: random.chance(0.1),
    lstrip: random.chance(0.2),
    rstrip: random.chance(0.2),
    normalized: random.chance(0.2),
    special: random.chance(0.8),
  });
  return {
    version: "1.0",
    added_tokens: ["<pad>", "</s>", "<unk>", ...random.list(0, 3, () => text(random))].map(special),
    normalizer: random.chance(0.1) ? null : normaliser(random),
    pre_tokenizer: random.chance(0.1) ? null : preTokenizer(random),
    post_processor: random.chance(0.5) ? null : {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    model: {
      type: "Unigram",
      unk_id: 2,
      vocab: VOCABULARY.map((piece, i) => [
        random.chance(0.98) ? piece : text(random),
        i < 3 ? 0 : random.chance(0.95) ? -1 - random.below(10) : finite(random),
      ]),
      byte_fallback: random.chance(0.2),
    },
  };
}

const PATTERNS = [
  ...["a", " {2,}", "(a+)+$", "(a|a)*b", "(?<=a)b", "[^\\s\\S]", "(", "\\p{L}+", "^(\\w+\\s?)*$"],
  ...["(x+x+)+y", "", ".*", "$", "\\b", "(?i)x", "[[:alpha:]]", "\\X", "(.*)*", "a{1000}{1000}"],
];
const pattern = (random: Random) =>
  random.chance(0.5)
    ? { Regex: random.chance(0.8) ? random.pick(PATTERNS) : text(random) }
    : { String: random.chance(0.5) ? random.pick(["a", " ", "▁", ""]) : text(random) };

function normaliser(random: Random, depth = 2): unknown {
  return random.pick<() => unknown>([
    () => ({
      type: random.pick(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"]),
    }),
    () => ({
      type: "Replace",
      pattern: pattern(random),
      content: random.pick(["", "a", "aa", "▁"]),
    }),
    () => ({ type: "Prepend", prepend: text(random) }),
    () => ({ type: "Strip", strip_left: true, strip_right: random.chance(0.5) }),
    () => ({ type: "BertNormalizer", clean_text: true, lowercase: true, strip_accents: true }),
    () => ({ type: "Precompiled", precompiled_charsmap: charsmap(random) }),
    () => ({ type: text(random) }),
    () => ({
      type: "Sequence",
      normalizers: depth ? random.list(0, 5, () => normaliser(random, depth - 1)) : [],
    }),
  ])();
}

/** A map of characters in SentencePiece's form: the bytes of a trie, then texts. */
function charsmap(random: Random): string {
  const trie = random.bytes(4 * random.below(300));
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(
    0,
    random.chance(0.8) ? trie.length : random.below(2000),
    true,
  );
  const bytes = new Uint8Array([...size, ...trie, ...new TextEncoder().encode("a\0bc\0")]);
  return random.chance(0.9) ? bytes.toBase64() : text(random);
}

function preTokenizer(random: Random, depth = 2): unknown {
  return random.pick<() => unknown>([
    () => ({
      type: "Metaspace",
      replacement: random.chance(0.8) ? "▁" : text(random),
      prepend_scheme: "always",
      add_prefix_space: true,
    }),
    () => ({
      type: random.pick(["Whitespace", "WhitespaceSplit", "BertPreTokenizer", "ByteLevel"]),
    }),
    () => ({
      type: "Split",
      pattern: pattern(random),
      behavior: random.pick(["Removed", "Isolated", "x"]),
      invert: random.chance(0.3),
    }),
    () => ({ type: random.pick(["Punctuation", "Digits", "FixedLength", "CharDelimiterSplit"]) }),
    () => ({ type: text(random) }),
    () => ({
      type: "Sequence",
      pretokenizers: depth ? random.list(0, 4, () => preTokenizer(random, depth - 1)) : [],
    }),
  ])();
}

/** A prompt that tokenizers may not expect. */
function prompt(random: Random): string {
  if (random.chance(0.2)) {
    return random.pick(["a", "x", "p", "é", "🐱", " ", "aa ", "\u0301"]).repeat(
      random.below(20_000, true),
    );
  }
  return random.list(0, 8, () => random.chance(0.5) ? random.pick(["red", "apple"]) : text(random))
    .join(" ");
}

export const tokenizer = reader({
  deadline: 2000,
  make(random) {
    const right = tokenizerJson(random);
    const tree = random.chance(0.5) ? right : mutateTree(random, right);
    const maxLength = random.chance(0.9) ? 1 + random.below(99) : number(random);
    return { tree, maxLength, prompts: random.list(1, 3, () => prompt(random)) };
  },
  read({ tree, maxLength, prompts }) {
    const loaded = Tokenizer.load(JSON.parse(JSON.stringify(tree) ?? "null"), { maxLength });
    let refused: unknown;
    for (const prompt of prompts) {
      try {
        const { ids, truncated } = loaded.encode(prompt);
        claim(ids.length >= 1 && ids.length <= maxLength, `${ids.length} tokens`);
        claim(
          ids.every((id) => Number.isSafeInteger(id) && id >= 0),
          `ids, not ${ids.slice(0, 9)}`,
        );
        claim(typeof truncated === "boolean", "whether it was cut");
        claim(loaded.encode(prompt).ids.join() === ids.join(), "the same tokens again");
      } catch (error) {
        if (!(error instanceof BitwiseError)) throw error;
        refused = error;
      }
    }
    if (refused !== undefined) throw refused;
  },
});

export const tuning = reader({
  make(random) {
    const names = Object.keys(CHOICES) as (keyof typeof CHOICES)[];
    const tree = Object.fromEntries(random.list(1, 5, () => {
      const name = random.pick(names);
      const steps = random.list(
        1,
        3,
        () => [random.below(3000), random.pick(CHOICES[name].variants)],
      );
      return [name, steps];
    }));
    const broken = JSON.stringify(mutateTree(random, tree, (random) =>
      random.chance(0.3) ? [[0, random.pick(TEXTS)]] : json(random))) ?? "";
    return random.chance(0.8) ? broken : mutateText(random, broken);
  },
  read(written) {
    const found = parseTuning(written, "/tmp/tuning.json");
    for (const [kernel, steps] of Object.entries(found)) {
      claim(Object.hasOwn(CHOICES, kernel), `a kernel, not ${kernel}`);
      for (const [size, variant] of steps!) {
        const { variants } = CHOICES[kernel as keyof typeof CHOICES];
        claim(typeof size === "number", "a size");
        claim((variants as readonly unknown[]).includes(variant), "a variant");
      }
    }
    claim(
      JSON.stringify(parseTuning(JSON.stringify(found), "x")) === JSON.stringify(found),
      "it survives being written",
    );
  },
});
