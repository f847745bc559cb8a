import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { BitwiseError, ConfigError } from "../../../../engine/mod.ts";
import { isKey } from "../../../../model/training/config/keys.ts";
import { TABLE } from "../../../../model/training/config/tables.ts";
import {
  parseTrainFile,
  readTrainConfig,
  resolveTrainConfig,
} from "../../../../model/training/config/train_config.ts";
import { inFolder } from "../../../commands/process.ts";
import { documentedRows } from "./tables.ts";
import tiny from "../../../../examples/training/tiny.json" with { type: "json" };

const LEAST = { model: "emoji-nano", data: { kind: "folder", path: "images" } };

function refusal(json: unknown): string {
  const error = assertThrows(() => parseTrainFile(json, "c.json"));
  assertInstanceOf(error, ConfigError);
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}

Deno.test("parseTrainFile() completes a file with defaults", () => {
  const { tokenizer, transformer, decoder, data, seed, sample_prompts } = parseTrainFile(
    { ...LEAST, transformer: { minutes: 5 } },
    "c.json",
  );
  assertEquals(data, { kind: "folder", path: "images", broken: "stop", mirror: 0, held_out: 0 });
  assertEquals([seed, sample_prompts], [1, []]);
  assertEquals([tokenizer.steps, tokenizer.minutes], [10_000, null]);
  assertEquals([transformer.steps, transformer.minutes], [null, 5]);
  assertEquals(tokenizer.losses.l2, 2);
  assertEquals([transformer.betas, transformer.lora.alpha], [[0.9, 0.97], null]);
  assertEquals(decoder.drawn, 0.5);
});

Deno.test("parseTrainFile() takes what it makes", () => {
  const file = parseTrainFile(LEAST, "c.json");
  assertEquals(parseTrainFile(JSON.parse(JSON.stringify(file)), "c.json"), file);
});

Deno.test("parseTrainFile() names the nearest key of a misspelt one", () => {
  assertEquals(
    refusal({ ...LEAST, tokenizer: { learning_rte: 1 } }),
    "Cannot use c.json: unknown key tokenizer.learning_rte: did you mean learning_rate?",
  );
  assertEquals(
    refusal({ ...LEAST, tokenizer: { losses: { l3: 1 } } }),
    "Cannot use c.json: unknown key tokenizer.losses.l3: did you mean l1?",
  );
  assert(
    refusal({ ...LEAST, banana: 1 }).startsWith("Cannot use c.json: unknown key banana: there"),
  );
});

Deno.test("parseTrainFile() refuses values by their path, with what is allowed", () => {
  const cases: [unknown, string][] = [
    [[], "it is [], it must be an object"],
    [null, "it is null, it must be an object"],
    [{ ...LEAST, data: null }, "data.path is null, it must be a folder or file of images"],
    [
      { data: LEAST.data },
      "model is null, it must be a name, a path or an object, unless init has one",
    ],
    [{ ...LEAST, model: 3 }, "model is 3, it must be a name, a path or an object"],
    [{ ...LEAST, seed: -1 }, "seed is -1, it must be a whole number of at least 0"],
    [
      { ...LEAST, data: { ...LEAST.data, kind: "zip" } },
      'data.kind is "zip", it must be "folder" or "jsonl" or "sheet" or "scenes"',
    ],
    [
      { ...LEAST, tokenizer: { betas: [0.9] } },
      "tokenizer.betas is [0.9], it must be two numbers, each a number from 0 to 0.99999",
    ],
    [
      { ...LEAST, transformer: { learning_rate: 0 } },
      "transformer.learning_rate is 0, it must be a number above 0, at most 10",
    ],
    [{ ...LEAST, transformer: { lora: 8 } }, "transformer.lora is 8, it must be an object"],
    [
      { ...LEAST, transformer: { lora: { rank: 4 } } },
      "transformer.lora.rank is 4, it must be 0 unless init names the model to adapt",
    ],
    [
      { ...LEAST, transformer: { text_encoder: "frozen" } },
      'transformer.text_encoder is "frozen", it must be "joint" unless init has one',
    ],
    [
      { ...LEAST, data: { kind: "scenes", path: "x", held_out: 0.1 } },
      "data.held_out is 0.1, it must be 0: such data say themselves what is held out",
    ],
    [
      { ...LEAST, data: { kind: "sheet", path: "x", broken: "skip" } },
      'data.broken is "skip", it must be "stop": such data are one image or none',
    ],
    [
      { ...LEAST, data: { kind: "scenes", path: "x", mirror: 0.5 } },
      "data.mirror is 0.5, it must be 0: left and right of scenes are in their captions",
    ],
    [
      { ...LEAST, transformer: { epsilon: 1e-46 } },
      "transformer.epsilon is 1e-46, it must be a number from 1e-30 to 1",
    ],
    [
      { ...LEAST, decoder: { losses: { entropy: 1 } } },
      "unknown key decoder.losses.entropy: there are l1, l2,",
    ],
    [{ ...LEAST, sample_prompts: ["a\nb"] }, 'sample_prompts is ["a\\nb"], it must be a list of'],
  ];
  for (const [json, message] of cases) {
    assert(refusal(json).startsWith(`Cannot use c.json: ${message}`), refusal(json));
  }
});

Deno.test("every default is allowed", () => {
  const visit = (table: object, path: string): void => {
    for (const [name, entry] of Object.entries(table)) {
      if (!isKey(entry)) visit(entry as object, `${path}${name}.`);
      else if (entry.absent !== null && entry.absent !== "") {
        assert(entry.is(entry.absent), path + name);
      }
    }
  };
  visit(TABLE, "");
});

Deno.test("resolveTrainConfig() names misspelt keys of a model, however deep", async () => {
  const { model, ...rest } = tiny;
  const resolved = (changes: object) => {
    const json = { ...rest, model: { ...model, ...changes } };
    return resolveTrainConfig(parseTrainFile(json, "c.json"), ".", "c.json");
  };
  const { transformer } = model;
  const cases: [object, string][] = [
    [{ filez: {} }, "filez: did you mean files?"],
    [
      { transformer: { ...transformer, norm_epz: 1 } },
      "transformer.norm_epz: did you mean norm_eps?",
    ],
    [
      { transformer: { ...transformer, rope: { bas: 10000 } } },
      "transformer.rope.bas: did you mean base?",
    ],
  ];
  for (const [changes, expected] of cases) {
    const { message } = await assertRejects(() => resolved(changes), ConfigError);
    assertEquals(message, `Cannot use c.json: unknown key model.${expected}`);
  }
  await resolved({ notes: "those of other programs are ignored" });
});

Deno.test("readTrainConfig() finds what the file names, from its folder", () =>
  inFolder(async (folder) => {
    const path = join(folder, "c.json");
    const write = (json: unknown) => Deno.writeTextFile(path, JSON.stringify(json));
    await write({ ...LEAST, name: "mine" });
    const config = await readTrainConfig(path);
    assertEquals([config.name, config.model.name, config.model_json.name], [
      "mine",
      "mine",
      "mine",
    ]);
    assertEquals(config.data.path, join(folder, "images"));
    assert(config.words.endsWith("emoji-nano/tokenizer.json"), config.words);
    assertEquals(config.init, null);

    await write({ init: "emoji-nano", data: LEAST.data });
    const further = await readTrainConfig(path);
    assertEquals(further.model, (await readTrainConfig(path)).model);
    assert(further.init!.includes("emoji-nano"), further.init!);

    await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(config.model_json));
    await write({ ...LEAST, model: "config.json", words: "words.json" });
    const { model, words } = await readTrainConfig(path);
    assertEquals([model.name, words], ["mine", join(folder, "words.json")]);

    await write({ ...LEAST, model: "2b" });
    const message = "words is null, it must be the path of a tokenizer.json: model has none";
    assertEquals(
      (await assertRejects(() => readTrainConfig(path), ConfigError)).message,
      `Cannot use ${path}: ${message}`,
    );
    await write({ ...LEAST, model: "emoji-nanu" });
    const { message: found } = await assertRejects(() => readTrainConfig(path), BitwiseError);
    assert(found.endsWith("did you mean emoji-nano?"), found);
    await Deno.writeTextFile(path, '{"model": ');
    assertEquals((await assertRejects(() => readTrainConfig(path), ConfigError)).code, "bad-json");
  }));

Deno.test("the examples are understood", async () => {
  for (const name of ["emoji-nano", "emoji-scenes", "tiny"]) {
    const path = fromFileUrl(
      new URL(`../../../../examples/training/${name}.json`, import.meta.url),
    );
    const { model, sample_prompts } = await readTrainConfig(path);
    assertEquals([model.name, sample_prompts.length], [name, name === "tiny" ? 4 : 8]);
  }
});

Deno.test("docs/training.md lists every key with its default", async () => {
  const path = new URL("../../../../docs/training.md", import.meta.url);
  const plain = (text: string) => text.replaceAll(/ +/g, " ");
  const text = plain(await Deno.readTextFile(path));
  assertEquals(documentedRows().filter((row) => !text.includes(plain(row))), []);
});
