import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, ConfigError } from "../../../engine/mod.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { Tokenizer } from "../../../model/text/tokenizer.ts";

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
    assertEquals(tokenizer.encode(prompt), { ids, truncated: false }, prompt);
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

Deno.test("Tokenizer ends every prompt with </s> exactly once", async () => {
  const tokenizer = await emoji();
  const { ids } = tokenizer.encode("red apple");
  assertEquals(ids.at(-1), END);
  assertEquals(tokenizer.encode("red apple</s>").ids, ids);
  for (const text of ["", "   ", "</s>", "</s> </s>"]) {
    assertEquals(tokenizer.encode(text), { ids: [END], truncated: false }, JSON.stringify(text));
  }
});

Deno.test("Tokenizer cuts long prompts and keeps </s>", async () => {
  const long = "red apple ".repeat(50);
  const uncut = (await emoji(1000)).encode(long);
  assertEquals(uncut.truncated, false);
  const cut = (await emoji()).encode(long);
  assertEquals(cut, { ids: [...uncut.ids.slice(0, 63), END], truncated: true });
  const { length } = uncut.ids;
  assertEquals((await emoji(length)).encode(long), uncut);
  assertEquals((await emoji(length - 1)).encode(long).truncated, true);
  assertEquals((await emoji(1)).encode("cat"), { ids: [END], truncated: true });
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

Deno.test("Tokenizer reads 10,000 words in well under ten seconds", async () => {
  const tokenizer = await emoji();
  const start = performance.now();
  for (const text of ["word ".repeat(10_000), "unbroken".repeat(1000)]) {
    const { ids, truncated } = tokenizer.encode(text);
    assertEquals([ids.length, truncated], [64, true]);
  }
  assert(performance.now() - start < 10_000);
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
