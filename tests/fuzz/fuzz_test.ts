import { assert, assertEquals, assertMatch } from "@std/assert";
import { READERS } from "./broken.ts";
import { fuzz, type FuzzOptions, type Summary } from "./main.ts";
import { mutateBytes, mutateText, mutateTree } from "./mutate.ts";
import { caseSeed, Random } from "./random.ts";
import { shrink } from "./shrink.ts";
import { READERS as REAL } from "./readers.ts";

const module = new URL("broken.ts", import.meta.url);
const run = (readers: readonly string[], options: Partial<FuzzOptions>): Promise<Summary> =>
  fuzz({ module, readers, seed: 1, seconds: 600, ...options });

const others = Object.keys(READERS).filter((name) => name !== "hang");
const { counts, findings } = await run(others, { count: 12 });
findings.push(...(await run(["hang"], { count: 12, patience: 3000 })).findings);
const found = (reader: string) => findings.filter((finding) => finding.reader === reader);

Deno.test("fuzz() finds nothing in a reader that refuses properly, and counts", () => {
  assertEquals(found("good"), []);
  const { cases, refused } = counts.get("good")!;
  assertEquals(cases, 12);
  assert(refused > 0 && refused < 12, `${refused}`);
});

const EXPECTED: Record<string, RegExp> = {
  type: /^TypeError: Cannot read .* \(tests\/fuzz\/broken\.ts:\d+:\d+\)$/,
  code: /^the code "Seven"/,
  control: /^control characters in "Cannot read \\u001b/,
  long: /^a message of 2400 characters/,
  hang: /^hang: more than 3 s$/,
  slow: /^slow: [1-9]\d{3} ms$/,
  memory: /^memory: \d{3} MB$/,
  crash: /^crash: .*heap/i,
  exit: /^crash: 0/,
  never: /^crash: /,
  unhandled: /^unhandled: TypeError: nobody waits$/,
  pollution: /^pollution: Object\.prototype has changed$/,
  file: /^escape: readTextFile\("\/etc\/hostname"\)$/,
  network: /^escape: fetch\("https:\/\/example\.com"\)$/,
};
for (const [name, what] of Object.entries(EXPECTED)) {
  Deno.test(`fuzz() finds a reader that breaks a rule: ${name}`, () => {
    assert(found(name).length > 0, JSON.stringify(findings));
    for (const finding of found(name)) assertMatch(finding.what, what);
  });
}

Deno.test("fuzz() makes the input of a finding as small as possible", () => {
  assertEquals(Uint8Array.fromBase64(found("type")[0]!.input), Uint8Array.of(3));
});

Deno.test("fuzz() reproduces a finding from its number alone", async () => {
  const { at, what } = found("type")[0]!;
  const again = await run(["type"], { count: 1, from: at });
  assertEquals(again.findings.map(({ what }) => what), [what]);
});

Deno.test("shrink() keeps what fails, within lists and objects", async () => {
  const fails = (input: unknown) => Promise.resolve(JSON.stringify(input)?.includes("7") ?? false);
  assertEquals(await shrink({ a: [1, "xx7x", 3], b: { c: 5 } }, fails, 1000), { a: ["7"] });
});

Deno.test("Mutators and readers make the same case of the same seed", () => {
  const make = () => {
    const random = new Random(5);
    return Array.from({ length: 200 }, () => [
      mutateBytes(random, new Uint8Array(50)),
      mutateText(random, "red apple"),
      mutateTree(random, { a: [1, { b: "c" }] }),
    ]);
  };
  assertEquals(make(), make());
  for (const [name, { make }] of Object.entries(REAL)) {
    const once = () => Deno.inspect(make(new Random(caseSeed(1, name, 3))), { depth: 9 });
    assertEquals(once(), once(), name);
  }
});
