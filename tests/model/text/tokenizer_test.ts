import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, ConfigError, InputError } from "../../../engine/mod.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { Tokenizer } from "../../../model/text/tokenizer.ts";
import expectedIds from "./t5_layouts.json" with { type: "json" };
import {
  added,
  charsmap,
  type Json,
  LAYOUTS,
  metaspace,
  normalizers,
  pretokenizers,
  PROMPTS,
  SPLIT,
  tokenizerJson,
} from "./t5_layouts.ts";
import { inTime } from "../../in_time.ts";

const MODEL = new URL("../../../assets/models/emoji-nano/", import.meta.url).pathname;
const END = 1;

// deno-lint-ignore no-explicit-any
async function json(): Promise<any> {
  return JSON.parse(await Deno.readTextFile(`${MODEL}tokenizer.json`));
}

async function emoji(maxLength = 64): Promise<Tokenizer> {
  return Tokenizer.load(await json(), { maxLength });
}

Deno.test("golden: Tokenizer gives the reference's ids", async () => {
  const expected = await openTensorFile(`${MODEL}expected.safetensors`);
  const tokenizer = await emoji();
  const prompts: string[] = JSON.parse(expected.metadata.prompts!);
  assertEquals(prompts, ["red apple", "a cute dog face emoji", "purple cat"]);
  for (const [i, prompt] of prompts.entries()) {
    const ids = [...await expected.read(`p${i}.ids`) as Int32Array];
    assertEquals(tokenizer.encode(prompt), { ids, truncated: false, unknown: [] }, prompt);
  }
  expected.close();
});

Deno.test("Tokenizer lower-cases, normalises and ignores extra spaces", async () => {
  const tokenizer = await emoji();
  const { ids } = tokenizer.encode("cat's apple");
  for (const text of ["  Cat’s\t APPLE\n", "ｃａｔ's apple"]) {
    assertEquals(tokenizer.encode(text).ids, ids, text);
  }
});

// The ids are those of the Rust library: Tokenizer.from_str(json).encode(prompt).ids of its Python package, 0.23.2.
for (const [name, json] of Object.entries(LAYOUTS)) {
  Deno.test(`Tokenizer gives the ids of the Rust library: ${name}`, () => {
    const tokenizer = Tokenizer.load(json, { maxLength: 1000 });
    const expected = expectedIds[name as keyof typeof expectedIds];
    assertEquals(expected.length, PROMPTS.length);
    for (const [i, prompt] of PROMPTS.entries()) {
      assertEquals(tokenizer.encode(prompt).ids.join(" "), expected[i], JSON.stringify(prompt));
    }
  });
}

Deno.test("Tokenizer adds </s> also after a literal one, as the Rust library does", async () => {
  const tokenizer = await emoji();
  const { ids } = tokenizer.encode("red apple");
  assertEquals(ids.at(-1), END);
  assertEquals(tokenizer.encode("red apple</s>").ids, [...ids, END]);
  assertEquals(tokenizer.encode("</s> </s>").ids, [END, END, END]);
  for (const text of ["", "   "]) assertEquals(tokenizer.encode(text).ids, [END]);
});

Deno.test("Tokenizer names the words with characters that it does not know", async () => {
  const tokenizer = await emoji();
  const unknown = (text: string) => tokenizer.encode(text).unknown;
  assertEquals(unknown("red apple, xylophone zzyzx cat's (x:1.4)"), []);
  assertEquals(unknown("red 苹果 and caf\u00e9 苹果x苹果"), ["苹果", "caf\u00e9", "苹果x苹果"]);
  const whole = Tokenizer.load(LAYOUTS.whole, { maxLength: 64 });
  assertEquals(whole.encode("red 苹a果 apple 🍎").unknown, ["苹a果", "🍎"]);
  // what is cut is not read at all
  assertEquals((await emoji(2)).encode("red 苹果").unknown, []);
});

Deno.test("Tokenizer cuts long prompts and keeps </s>", async () => {
  const long = "red apple ".repeat(50);
  const uncut = (await emoji(1000)).encode(long);
  assertEquals(uncut.truncated, false);
  const cut = (await emoji()).encode(long);
  assertEquals(cut, { ids: [...uncut.ids.slice(0, 63), END], truncated: true, unknown: [] });
  const { length } = uncut.ids;
  assertEquals((await emoji(length)).encode(long), uncut);
  assertEquals((await emoji(length - 1)).encode(long).truncated, true);
  assertEquals((await emoji(1)).encode("cat").ids, [END]);
});

Deno.test("Tokenizer accepts any text", async () => {
  const tokenizer = await emoji();
  const known = (await json()).model.vocab.length;
  for (const text of ["🍎 苹果", "\ud800", "\0\u0001", "__proto__ constructor", "<pad><unk>"]) {
    const { ids } = tokenizer.encode(text);
    assert(ids.every((id) => Number.isInteger(id) && id >= 0 && id < known), text);
    assertEquals(ids.at(-1), END);
  }
});

Deno.test("Tokenizer takes time in proportion to a prompt, and refuses what is too long", async () => {
  const tokenizers = [await emoji(), Tokenizer.load(LAYOUTS.whole, { maxLength: 64 })];
  const million = ["a", "\u0301", "word ", "苹", "a\u200d", " "];
  for (const tokenizer of tokenizers) {
    for (const text of million) {
      await inTime(10_000, () => {
        try {
          assert(tokenizer.encode(text.repeat(1e6 / text.length)).ids.length <= 64);
        } catch (error) {
          assertEquals((error as InputError).code, "too-many-marks");
        }
      });
    }
    const code = (text: string) => assertThrows(() => tokenizer.encode(text), InputError).code;
    assertEquals(code("a".repeat(2 ** 20 + 1)), "prompt-too-long");
  }
  const [tokenizer] = tokenizers;
  const grown = assertThrows(() => tokenizer!.encode("\ufdfa".repeat(2 ** 20)), InputError);
  assertEquals(grown.code, "prompt-too-long");
  // engines sort marks in quadratic time: a million of these take minutes
  const sorted = assertThrows(() => tokenizer!.encode("\u0301\u0323".repeat(5e5)), InputError);
  assertEquals(sorted.code, "too-many-marks");
});

Deno.test("Tokenizer refuses files that are not T5 tokenizers", async () => {
  const good = await json();
  const model = (change: object) => ({ ...good, model: { ...good.model, ...change } });
  const without = (key: string) =>
    Object.fromEntries(Object.entries(good).filter(([k]) => k !== key));
  const cases: [unknown, string][] = [
    [null, 'it has no "model"'],
    ["text", 'it has no "model"'],
    [{}, 'it has no "model"'],
    [model({ type: "BPE" }), 'its model is "BPE", T5\'s is "Unigram"'],
    [model({ vocab: {} }), "its vocabulary is missing"],
    [model({ vocab: [["a", 0], ["b"]], unk_id: 0 }), "entry 1 of its vocabulary"],
    [model({ unk_id: null }), "its unk_id null is not in the vocabulary"],
    [without("added_tokens"), 'it has no "added_tokens"'],
    [without("pre_tokenizer"), "pre_tokenizer"],
    [{ ...good, normalizer: { type: "Magic" } }, "Magic"],
    [model({ byte_fallback: true }), "byte_fallback"],
    [model({ vocab: [["a".repeat(257), 0]], unk_id: 0 }), "entry 0 of its vocabulary"],
    [model({ vocab: [["\ud800", 0]], unk_id: 0 }), "entry 0 of its vocabulary"],
    [{ ...good, added_tokens: [{ ...good.added_tokens[1], id: 7 }] }, "the id 7, not 1"],
    [
      { ...good, added_tokens: [added(good.model.vocab.length + 1, "x<")] },
      "the id 3145, not 3144",
    ],
    [{ ...good, added_tokens: [null] }, "entry 0 of its added_tokens"],
    [{ ...good, added_tokens: [added(0, "")] }, "entry 0 of its added_tokens"],
    [{ ...good, added_tokens: [added(3144, "x".repeat(257))] }, "the added token 3144"],
    [
      { ...model({ vocab: [["a", 0], ["b", -1]], unk_id: 0 }), added_tokens: [] },
      'its vocabulary has no "</s>"',
    ],
  ];
  for (const [broken, why] of cases) {
    const error = assertThrows(
      () => Tokenizer.load(broken, { maxLength: 64, name: "m/tokenizer.json" }),
      CheckpointError,
      why,
    );
    assert(/^Cannot read "m\/tokenizer.json": [^\n]+[^.\n]$/.test(error.message), error.message);
  }
  for (const maxLength of [0, 1.5, NaN]) {
    assertThrows(() => Tokenizer.load(good, { maxLength }), ConfigError, "max_length must be");
  }
});

/** Wraps a node in sequences. */
function nested(node: Json, wrap: (inner: Json) => Json, times: number): Json {
  for (let i = 0; i < times; i++) node = wrap(node);
  return node;
}

Deno.test("Tokenizer refuses rules that may hang, explode or fail, when the file is loaded", () => {
  const replace = (pattern: unknown, content: unknown = "") => ({
    type: "Replace",
    pattern,
    content,
  });
  const regex = (pattern: string) => replace({ Regex: pattern });
  const normaliser: unknown[] = [
    regex("(.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.)*Z"), // backtracks for ever
    regex("(a+)+b"),
    regex(" *"), // matches nothing, everywhere
    regex(" {0,}"),
    regex(" {99999,}"),
    regex("["),
    replace({ String: "" }, "a"),
    replace({ String: "a" }, "a".repeat(17)), // grows without bound when repeated
    replace({ String: "a" }, 7),
    replace({ String: 7 }),
    replace("a"),
    { type: "Precompiled" },
    { type: "Precompiled", precompiled_charsmap: 7 },
    { type: "Precompiled", precompiled_charsmap: "?" },
    { type: "Precompiled", precompiled_charsmap: "" },
    { type: "Precompiled", precompiled_charsmap: btoa("\xff\xff\xff\xff") },
    { type: "Precompiled", precompiled_charsmap: btoa("\x04\0\0\0\0\0\0\0abc") }, // has no end
    { type: "Precompiled", precompiled_charsmap: btoa("\x04\0\0\0\0\0\0\0\xff\0") }, // is not UTF-8
    { type: "Precompiled", precompiled_charsmap: charsmap({ a: "a".repeat(257) }) },
    { type: "Strip", strip_left: true, strip_right: true },
    { type: "BertNormalizer" },
    { type: "Sequence" },
    { type: "Sequence", normalizers: { length: 1e9 } },
    { type: "Sequence", normalizers: [7] },
    { type: "Sequence", normalizers: [{ type: "toString" }] },
    normalizers(...Array<Json>(33).fill({ type: "NFC" })),
    nested({ type: "NFC" }, (inner) => normalizers(inner), 33),
    [],
    7,
    "NFC",
  ];
  const pre: unknown[] = [
    null,
    7,
    {},
    { type: "Split", pattern: { Regex: "(a+)+b" }, behavior: "Isolated" },
    { type: "ByteLevel" },
    metaspace({ replacement: "" }),
    metaspace({ replacement: "ab" }),
    metaspace({ replacement: "\ud800" }),
    metaspace({ replacement: 7 }),
    metaspace({ prepend_scheme: "sometimes" }),
    metaspace({ prepend_scheme: "always", add_prefix_space: false }),
    { type: "Sequence", pretokenizers: null },
    pretokenizers(SPLIT, { type: "Punctuation" }),
    nested(metaspace(), (inner) => pretokenizers(inner), 33),
  ];
  const text = { Sequence: { id: "A", type_id: 0 } };
  const post: unknown[] = [
    null,
    { type: "ByteLevel" },
    { type: "TemplateProcessing" },
    { type: "TemplateProcessing", single: ["x", "y"] },
    { type: "TemplateProcessing", single: [text] },
    { type: "TemplateProcessing", single: [text, { SpecialToken: { id: "<s>" } }] },
  ];
  const base = tokenizerJson(null, metaspace());
  const cases: [string, unknown][] = [
    ...normaliser.map((node): [string, unknown] => ["normalizer", node]),
    ...pre.map((node): [string, unknown] => ["pre_tokenizer", node]),
    ...post.map((node): [string, unknown] => ["post_processor", node]),
  ];
  Tokenizer.load(base, { maxLength: 64 });
  for (const [field, node] of cases) {
    const load = () => Tokenizer.load({ ...base, [field]: node }, { maxLength: 64 });
    const { message, code } = assertThrows(load, CheckpointError, undefined, JSON.stringify(node));
    assertEquals(code, "bad-tokenizer");
    const says = message.startsWith(`Cannot read "tokenizer.json": its ${field} `);
    assert(says && message.length < 400 && !message.includes("\n"), message);
  }
});

Deno.test("Tokenizer survives a charsmap whose trie leads nowhere", () => {
  const bytes = Uint8Array.from(atob(charsmap()), (char) => char.charCodeAt(0));
  const trie = new DataView(bytes.buffer).getUint32(0, true);
  for (let at = 4; at < 4 + trie; at += 23) {
    for (const value of [0, 0xff, 0x41]) {
      const broken = bytes.slice();
      broken[at] = value;
      const precompiled_charsmap = btoa(String.fromCharCode(...broken));
      const json = tokenizerJson({ type: "Precompiled", precompiled_charsmap }, metaspace());
      for (const prompt of PROMPTS) {
        const { ids } = Tokenizer.load(json, { maxLength: 64 }).encode(prompt);
        assert(ids.every((id) => Number.isInteger(id)));
      }
    }
  }
});
