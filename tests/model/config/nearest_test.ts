import { assertEquals } from "@std/assert";
import { nearest } from "../../../model/config/nearest.ts";
import { inTime } from "../../in_time.ts";

const flags = [
  "prompt",
  "negative-prompt",
  "output",
  "seed",
  "cfg-scale",
  "tau",
  "top-k",
  "top-p",
  "p",
];

Deno.test("nearest() repairs one slip of each kind", () => {
  assertEquals(nearest("promt", flags), "prompt"); // left out
  assertEquals(nearest("seeed", flags), "seed"); // doubled
  assertEquals(nearest("outpur", flags), "output"); // replaced
  assertEquals(nearest("tua", flags), "tau"); // swapped
  assertEquals(nearest("Prompt", flags), "prompt"); // case
});

Deno.test("nearest() allows longer words more slips", () => {
  assertEquals(nearest("negativ-promt", flags), "negative-prompt");
  assertEquals(nearest("cfg_scael", flags), "cfg-scale");
});

Deno.test("nearest() prefers the exact word, then the first of equals", () => {
  assertEquals(nearest("top-p", flags), "top-p");
  assertEquals(nearest("top-x", flags), "top-k");
});

Deno.test("nearest() returns nothing if a suggestion would be a guess", () => {
  assertEquals(nearest("banana", flags), undefined);
  assertEquals(nearest("x", flags), undefined);
  assertEquals(nearest("", flags), undefined);
  assertEquals(nearest("seed", []), undefined);
});

Deno.test("nearest() takes no time for words that are far too long", async () => {
  const words = Array.from({ length: 100 }, (_, i) => `word-${i}`);
  await inTime(1000, () => assertEquals(nearest("x".repeat(1e7), words), undefined));
});
