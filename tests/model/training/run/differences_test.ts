import { assertEquals } from "@std/assert";
import { differences, listed } from "../../../../model/training/run/differences.ts";

Deno.test("differences() names keys that differ, in depth, but for free ones", () => {
  const before = { a: 1, b: { c: [1, 2], d: "x" }, e: null };
  assertEquals(differences(before, structuredClone(before)), []);
  const after = { a: 1, b: { c: [1, 3], d: "x" }, f: { g: 1 } };
  const found = [
    "b.c was [1,2] and is [1,3]",
    'f was absent and is {"g":1}',
  ];
  assertEquals(differences(before, after), found);
  assertEquals(differences(before, after, ["b"]), [found[1]]);
  assertEquals(differences(1, 2), ["the config was 1 and is 2"]);
});

Deno.test("listed() lists the first few", () => {
  assertEquals(listed(["a", "b"]), "a, b");
  assertEquals(listed([..."abcdefg"]), "a, b, c, d, e, and 2 more");
});
