/**
 * A vocabulary with the structure of T5's, and the layouts of `tokenizer.json` that T5 has had.
 *
 * @module
 */

/** A parsed JSON object. */
export type Json = Record<string, unknown>;

/** Tokens and their scores, which are float32 as in T5's. */
const PIECES: [string, number][] = [
  ...["▁", "e", "s", "a", "t", "▁a", "r", "d", "l", "i"].map((piece, i): [string, number] => [
    piece,
    Math.fround(-2.01229286 - i / 7),
  ]),
  ...["▁red", "▁apple", "▁cat", "'", "fi", "▁fi", "é", "aa", "aaa", "▁aa", "n", "▁the", "▁re", "p"]
    .map((piece, i): [string, number] => [piece, Math.fround(-4.1234567 - i / 3)]),
  ...["1", "2", "⁄", "σ", "ς", "Σ", ",", "▁1", "c", "f", "u", "o", "A", "▁A", "x", "xx"].map(
    (piece, i): [string, number] => [piece, Math.fround(-8.7654321 - i / 9)],
  ),
  // ten of these are a tie, which the last bit of a score decides
  ["z", -9.019305229187012],
  ["zz", -10.11513614654541],
  ["zzz", -10.527027130126953],
];

/** Vocabulary as Google's: three special tokens, pieces, and 100 places of spans in reverse order. */
export const VOCAB: readonly (readonly [string, number])[] = [
  ["<pad>", 0],
  ["</s>", 0],
  ["<unk>", 0],
  ...PIECES,
  ...Array.from({ length: 100 }, (_, i): [string, number] => [`<extra_id_${99 - i}>`, 0]),
];

/** An added token, special and taken from the text as it was given. */
export function added(id: number, content: string, flags: Json = {}): Json {
  const none = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { id, content, ...none, special: true, ...flags };
}

const SPECIAL = VOCAB.flatMap(([token], id) =>
  /^<(pad|\/s|unk|extra_id_\d+)>$/.test(token) ? [added(id, token)] : []
);

/** Replacements in the style of nmt_nfkc: compositions, widths, fractions, spaces, and controls that vanish. */
const REPLACEMENTS: Readonly<Record<string, string>> = {
  "\u0001": "",
  "\t": " ",
  "\n": " ",
  "\u00a0": " ",
  "\u200b": " ",
  "\u3000": " ",
  "e\u0301": "é",
  "ａ": "a",
  "ﬁ": "fi",
  "½": "1⁄2",
  "Å": "A",
};

/** The `precompiled_charsmap` of replacements, in base64: a double-array trie and texts that end with a zero. */
export function charsmap(replacements: Readonly<Record<string, string>> = REPLACEMENTS): string {
  const utf8 = new TextEncoder();
  let texts = "";
  const entries = Object.entries(replacements).map(([from, to]): Entry => {
    const value = utf8.encode(texts).length;
    texts += `${to}\0`;
    return { key: [...utf8.encode(from)], value };
  });
  const units = new Map<number, number>([[0, 0]]);
  placeChildren(units, 0, 0, entries);
  // readers go to any child of a node without a check
  const size = (Math.max(...units.keys()) | 0xff) + 1;
  const trie = Uint32Array.from({ length: size }, (_, i) => units.get(i) ?? 0);
  const bytes = [
    ...new Uint8Array(Uint32Array.of(4 * size).buffer),
    ...new Uint8Array(trie.buffer),
  ];
  return btoa(String.fromCharCode(...bytes, ...utf8.encode(texts)));
}

interface Entry {
  readonly key: readonly number[];
  readonly value: number;
}

/** Places the node at `at`, and all below it, where no other node is. */
function placeChildren(
  units: Map<number, number>,
  at: number,
  label: number,
  entries: readonly Entry[],
): void {
  const ends = entries.find(({ key }) => key.length === 0);
  const labels = [...new Set(entries.flatMap(({ key }) => key.slice(0, 1)))];
  let base = 1;
  while ([0, ...labels].some((child) => units.has(base ^ child))) base++;
  for (const child of [0, ...labels]) units.set(base ^ child, 0);
  units.set(at, label | (ends ? 1 << 8 : 0) | (at ^ base) << 10);
  if (ends) units.set(base, (ends.value | 1 << 31) >>> 0);
  for (const child of labels) {
    const below = entries.filter(({ key }) => key[0] === child);
    const rest = below.map(({ key, value }) => ({ key: key.slice(1), value }));
    placeChildren(units, base ^ child, child, rest);
  }
}

/** Nodes of a tokenizer.json. */
export const PRECOMPILED: Json = { type: "Precompiled", precompiled_charsmap: charsmap() };
export const SPLIT: Json = { type: "WhitespaceSplit" };
export const metaspace = (options: Json = {}): Json => ({
  type: "Metaspace",
  replacement: "▁",
  ...options,
});
export const normalizers = (...list: Json[]): Json => ({ type: "Sequence", normalizers: list });
export const pretokenizers = (...list: Json[]): Json => ({ type: "Sequence", pretokenizers: list });

/** The tokenizer.json of a normaliser and a pre-tokeniser. */
export function tokenizerJson(
  normalizer: Json | null,
  pre_tokenizer: Json,
  added_tokens: Json[] = SPECIAL,
): Json {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens,
    normalizer,
    pre_tokenizer,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: null,
    model: { type: "Unigram", unk_id: 2, vocab: VOCAB, byte_fallback: false },
  };
}

const SPACES: Json = { type: "Replace", pattern: { Regex: " {2,}" }, content: "▁" };
const NEWER = normalizers(
  PRECOMPILED,
  { type: "Strip", strip_left: false, strip_right: true },
  SPACES,
);
const PLACES = SPECIAL.slice(3);

/** Every layout by name. */
export const LAYOUTS: Readonly<Record<string, Json>> = {
  google: tokenizerJson(
    PRECOMPILED,
    pretokenizers(SPLIT, metaspace({ add_prefix_space: true, str_rep: "▁" })),
  ),
  newest: tokenizerJson(
    PRECOMPILED,
    pretokenizers(SPLIT, metaspace({ prepend_scheme: "always", split: true })),
  ),
  bare: tokenizerJson(null, pretokenizers(SPLIT, metaspace({ prepend_scheme: "always" }))),
  newer: tokenizerJson(NEWER, metaspace({ prepend_scheme: "always", add_prefix_space: true })),
  first: tokenizerJson(NEWER, metaspace({ prepend_scheme: "first" })),
  whole: tokenizerJson(NEWER, metaspace({ prepend_scheme: "first", split: false })),
  never: tokenizerJson(
    normalizers(PRECOMPILED, SPACES),
    metaspace({ add_prefix_space: false, prepend_scheme: "never" }),
  ),
  plain: tokenizerJson(
    normalizers({ type: "NFKC" }, { type: "Lowercase" }, {
      type: "Replace",
      pattern: { String: "’" },
      content: "'",
    }),
    pretokenizers(SPLIT, metaspace({ prepend_scheme: "always" })),
  ),
  decomposed: tokenizerJson(
    normalizers({ type: "NFD" }, {
      type: "Replace",
      pattern: { Regex: "\\s+" },
      content: " ",
    }),
    metaspace({ prepend_scheme: "always" }),
  ),
  flags: tokenizerJson(
    PRECOMPILED,
    pretokenizers(SPLIT, metaspace({ prepend_scheme: "always" })),
    [
      ...SPECIAL.slice(0, 3),
      ...PLACES.map((token, i) => ({
        ...token,
        lstrip: i % 2 === 0,
        rstrip: i % 3 === 0,
        normalized: i % 5 === 0,
        single_word: i % 7 === 0,
      })),
      added(VOCAB.length, "é!", { normalized: true, special: false }),
    ],
  ),
};

/** Prompts that layouts tell apart. */
export const PROMPTS: readonly string[] = [
  "red apple",
  "  red\t apple \n cat  ",
  "a  a   a",
  "",
  "   ",
  "cat</s>",
  "</s>",
  "</s> </s>",
  "a <extra_id_0>red<extra_id_99> apple",
  "<extra_id_1>  x <extra_id_2> x<extra_id_3>x <extra_id_4>x <extra_id_9> e\u0301!e",
  "<extra_id_ 0> <pad><unk>",
  "e\u0301 é e\u0301\u0302 ａ\u0301 a\u0301",
  "ﬁre ½ ａｂｃ Å Å",
  "\u0001red \u0001",
  "red\u00a0apple\u3000cat\u200bx\u0085x\ufeffx",
  "ΣΟΦΟΣ ΑΣ",
  "cat’s",
  "苹果 red苹果apple 🍎",
  "z".repeat(10),
  "aaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaa",
  "x".repeat(32),
  "▁a ▁ ▁▁ red▁apple",
  "constructor __proto__ toString",
];
