import { assertEquals } from "@std/assert";
import { offsets } from "../../../model/config/offsets.ts";

Deno.test("offsets() returns where each run begins, then the end", () => {
  assertEquals(offsets([3, 0, 5]), [0, 3, 3, 8]);
  assertEquals(offsets([]), [0]);
});
