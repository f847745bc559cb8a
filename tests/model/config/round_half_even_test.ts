import { assertEquals } from "@std/assert";
import { roundHalfEven } from "../../../model/config/round_half_even.ts";

Deno.test("roundHalfEven() rounds halves to the even neighbour, all else to the nearest", () => {
  const cases = [[0.5, 0], [1.5, 2], [2.5, 2], [3.5, 4], [-0.5, 0], [-1.5, -2], [-2.5, -2]];
  for (const [x, y] of [...cases, [0.49, 0], [0.51, 1], [2.49, 2], [2.51, 3], [-1.2, -1], [7, 7]]) {
    assertEquals(roundHalfEven(x!) + 0, y, `${x}`); // + 0 makes -0 a 0
  }
});
