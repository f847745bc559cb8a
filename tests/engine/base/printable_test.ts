import { assertEquals } from "@std/assert";
import {
  BitwiseError,
  printable,
  printableJson,
  printableLines,
  printableMessage,
  quote,
} from "../../../engine/mod.ts";

/** What a terminal obeys, and what reorders or hides text, one of each kind. */
const EVIL = "\x00\x07\x1b\x7f\x9b\u2028\u202e\u2066\ud800";

Deno.test("printable() replaces what a terminal obeys, and keeps all other text", () => {
  assertEquals(printable(`a${EVIL}\r\n\tb`), `a${"�".repeat(EVIL.length + 3)}b`);
  const text = "naïve 苹果 👩‍🚀 שלום \u00a0…";
  assertEquals(printable(text), text);
  assertEquals(printableLines(`a\r\nb\rc\td${EVIL}`), `a\nb\nc\td${"�".repeat(EVIL.length)}`);
});

Deno.test("printableMessage() makes one line, and leaves out the middle of a long one", () => {
  assertEquals(
    printableMessage(` it broke\r\n   in two\u2028at \x1b[2J `),
    "it broke in two at �[2J",
  );
  const long = printableMessage(`Cannot ${"x".repeat(80_000)}; do that`);
  assertEquals([long.length, long.slice(0, 7), long.slice(-9)], [1000, "Cannot ", "; do that"]);
  // half a pair is left where a pair is cut
  assertEquals(printableMessage(`${"x".repeat(698)}${"🍎".repeat(300)}`).includes("�…"), true);
});

Deno.test("printableJson() escapes, so that JSON means what it meant", () => {
  const value = { [EVIL]: `${EVIL}\n\t"` };
  const json = printableJson(JSON.stringify(value, null, 2));
  assertEquals(JSON.parse(json), value);
  assertEquals(printableLines(json), json);
});

Deno.test("quote() and errors hold no control characters, and are bounded", () => {
  assertEquals(
    quote(`a${EVIL}`),
    '"a\\u0000\\u0007\\u001b\\u007f\\u009b\\u2028\\u202e\\u2066\\ud800"',
  );
  assertEquals(quote(`${"x".repeat(118)}🍎🍎`), `"${"x".repeat(118)}…"`);
  const error = new BitwiseError("x", `no ${EVIL}\nfile ${"y".repeat(80_000)}`);
  assertEquals(error.message, printableMessage(error.message));
  assertEquals(error.message.length, 1000);
  assertEquals(printableLines(error.stack!), error.stack);
});
