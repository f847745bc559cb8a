import { assert, assertEquals, assertMatch } from "@std/assert";
import { FileError } from "../../../engine/mod.ts";
import { readWish, shardOf, type WishOptions } from "../../../serve/batch/wanted.ts";

const OPTIONS: WishOptions = {
  seed: 0n,
  defaults: {},
  digest: (path) =>
    path === "missing.png"
      ? Promise.reject(new FileError("file-not-found", "Cannot read missing.png: no such file"))
      : Promise.resolve(`digest of ${path}`),
};

const read = (lines: readonly string[], change: Partial<WishOptions> = {}) =>
  readWish(lines.join("\n"), { ...OPTIONS, ...change });

Deno.test("Lines are JSON objects, JSON strings or plain prompts", async () => {
  const { images, broken } = await read([
    '{"prompt": "a red apple", "seed": 7, "cfg_scale": [1, 2], "tau": 0.5, "id": null}',
    '"a \\"quoted\\" cat"',
    "",
    "  a plain dog \r",
    '{"prompt": "x", "seed": "18446744073709551615", "init_img": "a.png", "keep_scales": 2}',
  ]);
  assertEquals(broken, []);
  assertEquals(
    images.map(({ line, prompt, seed, settings, init }) => ({
      line,
      prompt,
      seed,
      settings,
      init,
    })),
    [
      {
        line: 1,
        prompt: "a red apple",
        seed: "7",
        settings: { cfgScale: [1, 2], tau: 0.5 },
        init: undefined,
      },
      { line: 2, prompt: 'a "quoted" cat', seed: "0", settings: {}, init: undefined },
      { line: 4, prompt: "a plain dog", seed: "0", settings: {}, init: undefined },
      {
        line: 5,
        prompt: "x",
        seed: "18446744073709551615",
        settings: { keepScales: 2 },
        init: "a.png",
      },
    ],
  );
});

Deno.test("Names follow from what images show, not from their line", async () => {
  const { images: [apple, cat] } = await read(["a Red Äpple!", "cat"]);
  assertMatch(apple!.id, /^a-red-apple-[0-9a-f]{12}$/);
  assertEquals((await read(["dog", "cat", "", "a Red Äpple!"])).images.slice(1), [
    { ...cat!, line: 2 },
    { ...apple!, line: 4 },
  ]);
  const others = [
    '{"prompt":"cat","seed":1}',
    '{"prompt":"cat","tau":1}',
    '{"prompt":"cat","init_img":"a"}',
    '{"prompt":"cat","init_img":"b"}',
    '{"prompt":"cat","mask":"a"}',
    "猫",
  ];
  const { images } = await read(["cat", ...others]);
  assertEquals(new Set(images.map(({ id }) => id)).size, 7);
  assertEquals((await read(['{"tau":1,"seed":0,"prompt":"cat"}'])).images[0]!.id, images[2]!.id);
  assertEquals((await read(["cat"], { defaults: { tau: 1 } })).images[0]!.id, images[2]!.id);
  const { images: [long] } = await read(["../" + "x/y ".repeat(500)]);
  assertMatch(long!.id, /^[a-z-]{1,40}-[0-9a-f]{12}$/);
});

Deno.test("A line makes n images with consecutive seeds; a repeated one is made once", async () => {
  const { images, repeated } = await read([
    '{"prompt":"cat","n":2,"seed":"18446744073709551615"}',
    '{"prompt":"cat","n":3,"seed":"18446744073709551614"}',
    '{"prompt":"dog","n":10,"id":"dog"}',
    '{"prompt":"cat","seed":0}',
  ]);
  const cats = images.filter(({ prompt }) => prompt === "cat");
  assertEquals(cats.map(({ seed }) => seed), [
    "18446744073709551615",
    "0",
    "18446744073709551614",
  ]);
  assertEquals(repeated, 3);
  const dogs = images.filter(({ prompt }) => prompt === "dog").map(({ id }) => id);
  assertEquals(dogs, Array.from({ length: 10 }, (_, i) => `dog-${`${i + 1}`.padStart(2, "0")}`));
});

Deno.test("Wrong lines are found all at once, with their numbers", async () => {
  const wrong = [
    ["{", "it is not JSON"],
    ["{}", "it has no prompt"],
    ['{"prompt":"  "}', "it has no prompt"],
    ['{"prompt":7}', 'prompt is "7", it must be text'],
    ['{"prompt":"x","guidance":3}', 'an unknown field "guidance"; did you mean cfg_scale?'],
    ['{"prompt":"x","negative_promt":""}', "did you mean negative_prompt?"],
    ['{"prompt":"x","__proto__":{}}', "unknown field"],
    ['{"prompt":"x","seed":-1}', "seed is"],
    ['{"prompt":"x","seed":1.5}', "seed is"],
    ['{"prompt":"x","seed":1e300}', "seed is"],
    ['{"prompt":"x","seed":"18446744073709551616"}', "seed is"],
    ['{"prompt":"x","n":0}', "n is"],
    ['{"prompt":"x","n":1000000}', "n is"],
    ['{"prompt":"x","id":"../x"}', "id is"],
    ['{"prompt":"x","id":"a.png"}', "id is"],
    ['{"prompt":"x","tau":["a"]}', "tau is"],
    ['{"prompt":"x","greedy":1}', "greedy is"],
    ['{"prompt":"x","init_img":"missing.png"}', "no such file"],
    ['{"prompt":"y","id":"GOOD"}', 'its id "good" is that of line 1'],
    ['{"prompt":"x","width":64}', "the model has no such size"],
  ] as const;
  const { images, broken } = await read(
    ['{"prompt":"x","id":"good"}', ...wrong.map(([line]) => line), '{"prompt":"x","id":"good"}'],
    {
      check: ({ settings }) =>
        settings.width === undefined
          ? Promise.resolve()
          : Promise.reject(new Error("the model has no such size")),
    },
  );
  assertEquals(images.map(({ line }) => line), [1]);
  assertEquals(broken.map(({ line }) => line), wrong.map((_, i) => i + 2));
  for (const [i, { why }] of broken.entries()) assert(why.includes(wrong[i]![1]), `${i}: ${why}`);
});

Deno.test("Shards share all images, each once", async () => {
  const { images } = await read(Array.from({ length: 23 }, (_, i) => `cat ${i}`));
  for (const count of [1, 2, 5, 23, 40]) {
    const shards = Array.from(
      { length: count },
      (_, i) => shardOf(images, { index: i + 1, count }),
    );
    assertEquals(
      shards.flat().map(({ line }) => line).sort((a, b) => a - b),
      images.map((i) => i.line),
    );
    const sizes = shards.map(({ length }) => length);
    assert(Math.max(...sizes) - Math.min(...sizes) <= 1);
  }
});
