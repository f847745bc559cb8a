import { assert, assertEquals } from "@std/assert";
import { promptWarnings } from "../../../../model/generate/text/prompt_warnings.ts";
import { InfinityModel } from "../../../../model/infinity.ts";
import { inTime } from "../../../in_time.ts";

const read = (unknown: string[] = [], truncated = false) => ({ ids: [1], truncated, unknown });

Deno.test("promptWarnings() names syntax that has no meaning here, and nothing else", () => {
  const found: [string, string][] = [
    ["a (red:1.4) apple", '"(red:1.4)"'],
    [
      "(red apple: .5), ((shiny)), [blur] [a|b] [a:b:0.5]",
      '"(red apple: .5)", "((shiny))", "[blur]"',
    ],
    ["red BREAK apple", '"BREAK"'],
  ];
  for (const [prompt, what] of found) {
    const [line, ...more] = promptWarnings([prompt], [read()]);
    assert(
      line?.startsWith(`Prompts have no weights and no syntax; read as plain text: ${what}`),
      line,
    );
    assertEquals(more, []);
  }
  assertEquals(promptWarnings(["apple <lora:fruit_v1:0.8> [blur]"], [read()]), [
    `Prompts load no LoRA, the model does; read as plain text: "<lora:fruit_v1:0.8>"`,
    `Prompts have no weights and no syntax; read as plain text: "[blur]"`,
  ]);
  const plain = [
    "a cat (and a dog), ratio (3:2), at 10:30, 1.4",
    "TAKE A BREAK",
    "coffee break; i <3 you; a < b > c; <heart>",
    "[] () (()) <:>",
    "",
  ];
  for (const prompt of plain) assertEquals(promptWarnings([prompt], [read()]), [], prompt);
});

Deno.test("promptWarnings() says each thing once, and briefly", () => {
  const many = Array.from({ length: 9000 }, (_, i) => `wörd${i % 7}`);
  assertEquals(promptWarnings(["a", "b"], [read(many, true), read(many, true)]), [
    "Prompt cut to its first 1 tokens",
    'The model does not know some characters of "wörd0", "wörd1", "wörd2", "wörd3", "wörd4" and 2 ' +
    "more: they are lost",
  ]);
  const [long] = promptWarnings([""], [read(["\n🍎".repeat(1e6), "x"])]);
  assert(long!.length < 250 && !long!.includes("\n") && long!.isWellFormed(), long);
});

Deno.test("promptWarnings() takes time in proportion to a prompt", async () => {
  for (const part of ["(", "((", "[", "<a:", "(a:", "a:", "1", "(a:1", "BREAK", " "]) {
    await inTime(5000, () => promptWarnings([part.repeat(1e6 / part.length)], [read()]));
  }
});

Deno.test("generate() and stream() warn of what is lost of prompts, and generate", async () => {
  using model = await InfinityModel.load();
  const options = { prompt: ["red 苹果", "(pizza:1.2)"], negativePrompt: "[猫]", cfgScale: 2 };
  const expected = [
    'The model does not know some characters of "苹果" and "[猫]": they are lost',
    'Prompts have no weights and no syntax; read as plain text: "(pizza:1.2)" and "[猫]"',
  ];
  const { images, warnings } = await model.generate(options);
  assertEquals([images.length, warnings], [2, expected]);
  const steps = model.stream(options);
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  assertEquals(next.value.warnings, expected);
  // every prompt in the documents, and an unguided negative one, which is not read
  const silent = {
    prompt: ["red apple", "a cute dog face emoji"],
    negativePrompt: "猫",
    cfgScale: 1,
  };
  assertEquals((await model.generate(silent)).warnings, []);
});
